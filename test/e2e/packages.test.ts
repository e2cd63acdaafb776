/**
 * What `npm test` says of packages without packing an executable, which takes minutes: a stand-in is in its place.
 * test/packages installs the real ones.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { writeDeb } from "../../scripts/package/deb.ts";
import { writeNpmExecutable } from "../../scripts/package/npm.ts";
import { writeRpm } from "../../scripts/package/rpm.ts";
import { thirdPartyNotices } from "../../scripts/package/third-party.ts";
import { writeArchive, writeTree } from "../../scripts/package/tree.ts";
import { run } from "../../scripts/vm/run.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { BPFMAN, executable } from "../labs/executable.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const UNITS = join(ROOT, "examples/systemd");
/** A day after 1980, before which zip files know no time. */
const RELEASE = { version: "9.8.7", time: 500_000_000 };
const missing = (tool: string): string | null => (Bun.which(tool) === null ? `${tool} is not installed` : null);
const needing = (tool: string) => {
  const why = missing(tool);
  return why === null ? test : (name: string, _run: () => Promise<void>) => test.skip(`${name} (${why})`, () => {});
};
const bpfman = executable();
let directory = "";
let notices = "";
let made = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-packages-"));
  writeFileSync(join(directory, "bpfman"), "#!/bin/sh\necho stand-in\n", { mode: 0o755 });
  notices = await thirdPartyNotices();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A directory with nothing but a tree and a place for packages. */
async function prepared(): Promise<{ tree: string; output: string }> {
  const work = join(directory, String(made++));
  mkdirSync(join(work, "output"), { recursive: true });
  const contents = { executable: join(directory, "bpfman"), speaker: BPFMAN, thirdParty: notices };
  await writeTree(join(work, "tree"), RELEASE, contents);
  return { tree: join(work, "tree"), output: join(work, "output") };
}
const bytesOf = (file: string) => Bun.hash(readFileSync(file));

needing("dpkg-deb")("the .deb has what Debian expects of it, and the same bytes each time", async () => {
  const pack = async () => {
    const { tree, output } = await prepared();
    return writeDeb(tree, { release: RELEASE, processor: "arm64", output, compression: "none" });
  };
  const file = await pack();
  expect(file).toEndWith("/bpfman_9.8.7_arm64.deb");
  const fields = run(["dpkg-deb", "--field", file]);
  expect(fields).toContain("Version: 9.8.7\nArchitecture: arm64\n");
  expect(fields).toMatch(/^Depends: libbpf1 /m);
  const listed = run(["dpkg-deb", "--contents", file]);
  expect(
    listed
      .trimEnd()
      .split("\n")
      .filter((line) => !/^.{10} root\/root /.test(line)),
  ).toEqual([]);
  for (const path of [
    "usr/bin/bpfman",
    "etc/bpfman/bpfman.toml",
    "usr/share/man/man1/bpfman-attach-xdp.1.gz",
    "usr/share/bash-completion/completions/bpfman",
    "usr/share/zsh/vendor-completions/_bpfman",
    "usr/share/fish/vendor_completions.d/bpfman.fish",
    "usr/share/doc/bpfman/third-party.txt.gz",
    "usr/lib/systemd/system-preset/50-bpfman.preset",
    "usr/lib/bpfman/examples/packet_counter.bpf.o",
    ...readdirSync(UNITS).map((unit) => `usr/lib/systemd/system/${unit}`),
  ]) {
    expect(listed).toContain(` ./${path}\n`);
  }
  expect(run(["dpkg-deb", "--info", file, "conffiles"])).toBe("/etc/bpfman/bpfman.toml\n");
  expect(bytesOf(await pack())).toBe(bytesOf(file));
});

needing("rpmbuild")("the .rpm has the same files, its dependency, and the same bytes each time", async () => {
  const pack = async () => {
    const { tree, output } = await prepared();
    return writeRpm(tree, { release: RELEASE, processor: "x64", output });
  };
  const file = await pack();
  const query = (...words: readonly string[]) => run(["rpm", "--dbpath", join(directory, "db"), "-qp", ...words, file]);
  expect(query("--requires")).toContain("libbpf.so.1()(64bit)\n");
  expect(query("-l")).toContain("/usr/share/zsh/site-functions/_bpfman\n");
  expect(query("--configfiles")).toBe("/etc/bpfman/bpfman.toml\n");
  expect(query("--qf", "%{arch} %{version}")).toBe("x86_64 9.8.7");
  expect(bytesOf(await pack())).toBe(bytesOf(file));
});

needing("xz")("the archive is a prefix, with the same bytes each time", async () => {
  const pack = async () => {
    const { tree, output } = await prepared();
    const file = join(output, "bpfman-9.8.7-linux-x64.tar.xz");
    await writeArchive(tree, file, RELEASE);
    return file;
  };
  const file = await pack();
  const listed = run(["tar", "-tf", file]);
  expect(listed).toContain("bpfman-9.8.7-linux-x64/bin/bpfman\n");
  expect(listed).not.toContain("/etc/");
  expect(bytesOf(await pack())).toBe(bytesOf(file));
});

needing("npm")("the npm package of an executable is for one processor", async () => {
  const { output } = await prepared();
  const work = join(output, "..");
  const given = { executable: join(directory, "bpfman"), thirdParty: notices, processor: "arm64" } as const;
  await writeNpmExecutable(given, { release: RELEASE, work, output });
  const file = join(output, "bpfman-linux-arm64-9.8.7.tgz");
  const manifest = JSON.parse(run(["tar", "-xOf", file, "package/package.json"]));
  expect(manifest).toMatchObject({ name: "@bpfman/linux-arm64", os: ["linux"], cpu: ["arm64"], libc: ["glibc"] });
  expect(run(["tar", "-tvf", file])).toMatch(/^-rwxr-xr-x .* package\/bin\/bpfman$/m);
});

test("the notices have each package that is in the executable, with the text of its licence", () => {
  for (const name of ["cleye", "valibot", "yaml", "vscode-jsonrpc", "@sigstore/verify", "@bufbuild/protobuf"]) {
    expect(notices).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: .+\n\n\\S`, "m"));
  }
  expect(notices).toContain("GNU LESSER GENERAL PUBLIC LICENSE");
  expect(notices).toContain(`Bun ${Bun.version}`);
  expect(notices).not.toContain("@BUN_VERSION@");
});

test("every line of the packaged configuration is valid without its comment sign", () => {
  const text = readFileSync(join(ROOT, "packaging/bpfman.toml"), "utf8");
  expect(parseConfig(Buffer.from(text), "packaged")).toEqual(parseConfig(Buffer.from(""), "packaged"));
  const settings = text.replaceAll(/^#(?! )/gm, "");
  expect(settings.match(/^\w+ = /gm)?.length).toBeGreaterThan(4);
  expect(() => parseConfig(Buffer.from(settings), "packaged")).not.toThrow();
});

describe("units", () => {
  /** Upper bounds of what systemd-analyze calls exposure, of 10. */
  const EXPOSURE: Readonly<Record<string, number>> = {
    "bpfman-restore.service": 5.7,
    "bpfman-metrics.service": 3.3,
    "bpfman.service": 5.4,
  };

  needing("systemd-analyze")("are sound, and as closed as they were", async () => {
    for (const [unit, limit] of Object.entries(EXPOSURE)) {
      const path = join(UNITS, unit);
      const report = run(["systemd-analyze", "security", "--offline=true", `--threshold=${limit * 10}`, path]);
      expect(report).toContain(`for ${unit}: `);
      expect(readFileSync(path, "utf8")).toContain("UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN");
    }
  });

  needing("strace")("forbid no system call that their commands make", async () => {
    const forbidden = (unit: string): Set<string> => {
      const [, groups = ""] = /^SystemCallFilter=~(.*)$/m.exec(readFileSync(join(UNITS, unit), "utf8")) ?? [];
      const lists = groups.split(" ").map((group) => run(["systemd-analyze", "syscall-filter", group]));
      return new Set(
        lists
          .join("\n")
          .match(/^ {4}[a-z_0-9]+$/gm)
          ?.map((line) => line.trim()),
      );
    };
    const made = (...words: readonly string[]): string[] => {
      const log = join(directory, "strace");
      const options = ["-f", "-qq", "-o", log, "-e", "signal=none"];
      Bun.spawnSync(["strace", ...options, ...bpfman.command(...words)]);
      return [
        ...new Set([...readFileSync(log, "utf8").matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, name = ""]) => name)),
      ];
    };
    const object = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
    const commands = {
      "bpfman-restore.service": [
        ["load", "file", "--path", object, "--programs", "tracepoint:count_openat", "--keep"],
        ["restore", "--kept"],
        ["program", "delete", "--all"],
      ],
      "bpfman-metrics.service": [["metrics", "--output", join(directory, "metrics.prom")]],
    };
    for (const [unit, lines] of Object.entries(commands)) {
      const not = forbidden(unit);
      expect(not.size).toBeGreaterThan(20);
      for (const words of lines) {
        const calls = made(...words);
        expect(calls).toContain("openat");
        expect({ unit, words, refused: calls.filter((call) => not.has(call)) }).toEqual({ unit, words, refused: [] });
      }
    }
  });
});
