/** Systems where libbpf is missing, too old or must not be called, each simulated for a single child process. */
import { expect, test } from "bun:test";
import { copyFileSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { BPFMAN } from "../fakes/executable.ts";
import { featureTest } from "../fakes/kernel-feature.ts";
import { sh } from "../fakes/kernel-lab.ts";
import { temporaryFolder } from "../fakes/temporary-folder.ts";

const folder = temporaryFolder();
const ROOT = resolve(import.meta.dir, "../..");

/** Prints the error that loading an object gives, and the version of libbpf. */
const SCRIPT = `
import { readFileSync } from "node:fs";
const { libbpfVersion } = await import("${ROOT}/ffi/safe/libbpf-version.ts");
const { features } = await import("${ROOT}/src/kernel/features.ts");
const { openKernel } = await import("${ROOT}/src/kernel/kernel.ts");
const kernel = openKernel();
const programs = [{ name: "harmless", type: "tc", attachFunction: null }];
const bytes = readFileSync("${ROOT}/dist/bpf/fixtures/refused.bpf.o");
const attempt = async (run) => { try { await run(); return "ok"; } catch (error) { return [error.code, error.message]; } };
console.log(JSON.stringify({
  version: libbpfVersion(),
  load: await attempt(() => kernel.load({ bytes, name: "x", programs, alongside: [], globals: [], reuse: new Map() }).then((it) => it.close())),
  feature: await attempt(() => kernel.feature("jit")),
  features: features() === null ? "none" : "ok",
  list: await attempt(() => kernel.programIds()),
}));
`;

interface Outcome {
  readonly version: string | null;
  readonly load: "ok" | [code: string, message: string];
  readonly feature: Outcome["load"];
  readonly features: "ok" | "none";
  readonly list: Outcome["load"];
}

/** Runs the script in the test's folder, behind `wrapper`. */
function outcome(wrapper: readonly string[]): Outcome {
  const script = folder.path("script.ts");
  writeFileSync(script, SCRIPT);
  const result = Bun.spawnSync([...wrapper, process.execPath, script], { cwd: folder.path(), stderr: "pipe" });
  expect(result.stderr.toString()).toBe("");
  return JSON.parse(result.stdout.toString());
}

const LIBRARIES = "/usr/lib/x86_64-linux-gnu";
const installed = () => realpathSync(`${LIBRARIES}/libbpf.so.1`);

/** In a mount namespace of its own, `file` stands in the place of the installed libbpf. */
const inPlaceOfLibbpf = (file: string) => [
  ...["unshare", "--mount", "sh", "-c", `mount --bind "${file}" "${installed()}" && exec "$@"`, "sh"],
];

test("with the installed libbpf everything works", () => {
  expect(outcome([])).toMatchObject({ version: expect.stringMatching(/^1\.\d+/), load: "ok", list: "ok" });
});

test("without libbpf only loading fails; a file of its name in the current directory is not run", () => {
  copyFileSync(installed(), folder.path("libbpf.so.1"));
  expect(readdirSync(folder.path())).toContain("libbpf.so.1");
  const found = outcome(inPlaceOfLibbpf("/dev/null"));
  const missing = ["LIBBPF_MISSING", expect.stringContaining("libbpf.so.1")];
  expect(found).toMatchObject({ version: null, list: "ok", load: missing, feature: "ok", features: "ok" });
});

test("a libbpf without a function that is needed is too old, and the function is named", () => {
  const source = folder.path("old.c");
  writeFileSync(source, 'const char *libbpf_version_string(void) { return "v0.9"; }\n');
  sh("gcc", "-shared", "-fPIC", "-Wl,-soname,libbpf.so.1", "-o", folder.path("old.so"), source);
  expect(outcome(inPlaceOfLibbpf(folder.path("old.so")))).toMatchObject({
    version: "0.9",
    list: "ok",
    load: ["LIBBPF_TOO_OLD", expect.stringMatching(/"bpf_\w+"/)],
  });
});

featureTest("mdwe", "where memory may not be made executable, the error says so", () => {
  const source = folder.path("launch.c");
  writeFileSync(
    source,
    `#include <sys/prctl.h>
#include <unistd.h>
/* PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN (Linux 6.3): what MemoryDenyWriteExecute= of systemd does. */
int main(int argc, char **argv) { return prctl(65, 1, 0, 0, 0) ? 1 : execv(argv[1], argv + 1); }
`,
  );
  sh("gcc", "-o", folder.path("launch"), source);
  const code = ["JIT_UNAVAILABLE", expect.stringContaining("JIT")];
  expect(outcome([folder.path("launch")])).toMatchObject({
    version: null,
    load: code,
    list: code,
    feature: code,
    features: "none",
  });

  const bpfman = (...words: string[]) => {
    const result = Bun.spawnSync([folder.path("launch"), BPFMAN, "--runtime-dir", folder.path("run"), ...words]);
    return [result.exitCode, result.stdout.toString(), result.stderr.toString()];
  };
  expect(bpfman("--help")).toEqual([0, expect.stringContaining("Usage: bpfman"), ""]);
  const says = expect.stringMatching(/^error: .*\bJIT\nhint: .*MemoryDenyWriteExecute/);
  for (const words of [["list", "programs"], ["unload", "1"], ["version"], ["rpc"]]) {
    expect([words, bpfman(...words)]).toEqual([words, [5, "", says]]);
  }
});
