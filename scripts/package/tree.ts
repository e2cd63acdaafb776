/** The files that a package installs, as they are on a machine afterwards. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { archiveOptions, pack, type Release, ROOT, XZ_LEVEL } from "./release.ts";

export interface Contents {
  /** The executable to pack, which may be for another processor. */
  readonly executable: string;
  /** One that runs on this machine, and prints man pages and completions. */
  readonly speaker: string;
  readonly thirdParty: string;
}

/** Where each shell looks for completions of packages, and the name that it expects. */
const COMPLETIONS = {
  "bpfman.bash": "usr/share/bash-completion/completions/bpfman",
  _bpfman: "usr/share/zsh/site-functions/_bpfman",
  "bpfman.fish": "usr/share/fish/vendor_completions.d/bpfman.fish",
} as const;
const EXAMPLE = "usr/lib/bpfman/examples/packet_counter.bpf.o";
const DOCUMENTATION = "usr/share/doc/bpfman";

/** Writes them below `directory`, which must not exist, all with the release's time. */
export async function writeTree(directory: string, release: Release, contents: Contents): Promise<void> {
  const { executable, speaker, thirdParty } = contents;
  const at = (path: string): string => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    return join(directory, path);
  };
  const copy = (from: string, to: string): void => copyFileSync(join(ROOT, from), at(to));
  const compressed = (path: string, text: string | Uint8Array): void =>
    writeFileSync(at(`${path}.gz`), gzipSync(text, { level: 9 }));

  copyFileSync(executable, at("usr/bin/bpfman"));
  copy("packaging/bpfman.toml", "etc/bpfman/bpfman.toml");
  for (const unit of readdirSync(join(ROOT, "examples/systemd"))) {
    copy(`examples/systemd/${unit}`, `usr/lib/systemd/system/${unit}`);
  }
  // Before what distributions say of all units: Fedora disables, and Debian enables them at the first boot of an image.
  copy("packaging/bpfman.preset", "usr/lib/systemd/system-preset/50-bpfman.preset");
  copy("dist/bpf/examples/packet_counter.bpf.o", EXAMPLE);
  copy("examples/bpf/packet_counter.bpf.c", `${DOCUMENTATION}/examples/packet_counter.bpf.c`);
  copy("packaging/copyright", `${DOCUMENTATION}/copyright`);
  compressed(`${DOCUMENTATION}/third-party.txt`, thirdParty);
  compressed(`${DOCUMENTATION}/CHANGELOG.md`, readFileSync(join(ROOT, "CHANGELOG.md")));

  const printed = `${directory}.printed`;
  const date = new Date(release.time * 1000).toISOString().slice(0, 10);
  await pack([speaker, "man", join(printed, "man"), "--date", date], { release });
  await pack([speaker, "completions", join(printed, "completions")], { release });
  for (const page of readdirSync(join(printed, "man"))) {
    compressed(`usr/share/man/man1/${page}`, readFileSync(join(printed, "man", page)));
  }
  for (const [from, to] of Object.entries(COMPLETIONS)) renameSync(join(printed, "completions", from), at(to));
  rmSync(printed, { recursive: true });

  await setTimes(directory, release);
}

/** Modes and times that do not depend on who runs this and when. What is executable stays so. */
export async function setTimes(directory: string, release: Release): Promise<void> {
  await pack(["chmod", "-R", "u=rwX,go=rX", directory], { release });
  await pack(["find", directory, "-exec", "touch", "-h", "-d", `@${release.time}`, "{}", "+"], { release });
}

/** `bpfman-VERSION-linux-PROCESSOR.tar.xz`: what is below usr, to be unpacked into a prefix such as /usr/local. */
export async function writeArchive(tree: string, file: string, release: Release): Promise<void> {
  const name = basename(file, ".tar.xz");
  const transform = `--transform=s,^\\.,${name},`;
  await pack(["tar", "-C", join(tree, "usr"), ...archiveOptions(release), transform, "-Jcf", file, "."], {
    release,
    // Blocks of a fixed size: the same bytes on any number of processors.
    env: { XZ_OPT: `-T2 -${XZ_LEVEL}` },
  });
}
