/**
 * The container image, by buildah: an archive with both processors' images in OCI's layout. Each has the executable, and of
 * Debian what it needs: the C library, libbpf, and the certificates that registries are checked by.
 */
import {
  cpSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Processor } from "../bun-for.ts";
import { fetchPackages } from "../debian.ts";
import { ARCHITECTURES, archiveOptions, pack, type Release, ROOT } from "./release.ts";

const SUITE = "trixie";
const PACKAGES = ["base-files", "libc6", "libbpf1", "libelf1t64", "zlib1g", "libzstd1", "ca-certificates"];
/** Of these packages: neither documentation but for licences, nor character sets, nor scripts, which need a shell. */
const NOT_NEEDED = ["usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/doc-base", "usr/sbin", "sbin"];
/** What podman calls it after a pull: `localhost/bpfman:latest`. */
const NAME = "bpfman";

/** Writes the root directory of one image. */
function writeRoot(root: string, executable: string, architecture: string, thirdParty: string): void {
  const fetched = `${root}.debian`;
  fetchPackages(fetched, { suite: SUITE, architecture, packages: () => PACKAGES });
  cpSync(join(fetched, "tree"), root, { recursive: true, verbatimSymlinks: true });
  for (const path of NOT_NEEDED) rmSync(join(root, path), { recursive: true, force: true });
  for (const path of readdirSync(join(root, "usr/lib"))) {
    if (path.endsWith("-linux-gnu")) rmSync(join(root, "usr/lib", path, "gconv"), { recursive: true, force: true });
  }
  const certificates = join(root, "usr/share/ca-certificates/mozilla");
  const bundle = readdirSync(certificates)
    .sort()
    .map((name) => readFileSync(join(certificates, name), "utf8"));
  mkdirSync(join(root, "etc/ssl/certs"), { recursive: true });
  writeFileSync(join(root, "etc/ssl/certs/ca-certificates.crt"), bundle.join(""));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/usr/bin/bpfman\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  // What finds the host's directories by the older name.
  rmSync(join(root, "var/run"), { recursive: true, force: true });
  symlinkSync("/run", join(root, "var/run"));
  copyFileSync(executable, join(root, "usr/bin/bpfman"));
  mkdirSync(join(root, "usr/share/doc/bpfman"), { recursive: true });
  copyFileSync(join(ROOT, "packaging/copyright"), join(root, "usr/share/doc/bpfman/copyright"));
  writeFileSync(join(root, "usr/share/doc/bpfman/third-party.txt"), thirdParty);
}

/** Writes `bpfman-VERSION-image.tar`, and returns its path. */
export async function writeImage(
  executables: ReadonlyMap<Processor, string>,
  { release, work, output, thirdParty }: { release: Release; work: string; output: string; thirdParty: string },
): Promise<string> {
  const context = join(work, "image");
  mkdirSync(context);
  for (const [processor, executable] of executables) {
    writeRoot(join(context, ARCHITECTURES[processor].oci), executable, ARCHITECTURES[processor].deb, thirdParty);
  }
  const storage = ["--storage-driver", "vfs", "--root", join(work, "store"), "--runroot", join(work, "run")];
  const buildah = (...words: readonly string[]) =>
    pack(["buildah", ...storage, ...words], { release, env: { BUILDAH_ISOLATION: "chroot" } });
  const label = `--label=org.opencontainers.image.version=${release.version}`;
  const file = join(ROOT, "packaging/image/Containerfile");
  const same = [`--manifest=${NAME}`, `--timestamp=${release.time}`, label, "-f", file, context];
  // One after the other: of several platforms, buildah lists first which it happens to build first.
  for (const processor of executables.keys()) {
    await buildah("build", `--platform=linux/${ARCHITECTURES[processor].oci}`, ...same);
  }
  const layout = join(work, "layout");
  await buildah("manifest", "push", "--all", NAME, `oci:${layout}:${NAME}`);
  const archive = join(output, `bpfman-${release.version}-image.tar`);
  await pack(["tar", "-C", layout, ...archiveOptions(release), "-cf", archive, "."], { release });
  return archive;
}
