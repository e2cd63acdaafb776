/** Systems where libbpf is missing, too old or must not be called, each simulated for a single child process. */
import { expect, test } from "bun:test";
import { copyFileSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";
import { BPFMAN } from "../labs/executable.ts";
import { featureTest } from "../labs/kernel-feature.ts";
import { sh } from "../labs/kernel-lab.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const ROOT = resolve(import.meta.dir, "../..");

/** Prints the error that loading an object gives, and the version of libbpf. */
const SCRIPT = `
import { readFileSync } from "node:fs";
const { libbpfVersion } = await import("${ROOT}/ffi/safe/libbpf-version.ts");
const { features } = await import("${ROOT}/src/kernel/explain/features.ts");
const { openKernel } = await import("${ROOT}/src/kernel/open-kernel.ts");
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

/** Runs the script in the test's directory, behind `wrapper`. */
function outcome(wrapper: readonly string[]): Outcome {
  const script = directory.path("script.ts");
  writeFileSync(script, SCRIPT);
  const result = Bun.spawnSync([...wrapper, process.execPath, script], { cwd: directory.path(), stderr: "pipe" });
  expect(result.stderr.toString()).toBe("");
  return JSON.parse(result.stdout.toString());
}

const LIBRARIES = `/usr/lib/${OWN_MULTIARCH}`;
const installed = () => realpathSync(`${LIBRARIES}/libbpf.so.1`);

/** In a mount namespace of its own, `file` stands in the place of the installed libbpf. */
const inPlaceOfLibbpf = (file: string) => [
  ...["unshare", "--mount", "sh", "-c", `mount --bind "${file}" "${installed()}" && exec "$@"`, "sh"],
];

test("with the installed libbpf everything works", () => {
  expect(outcome([])).toMatchObject({ version: expect.stringMatching(/^1\.\d+/), load: "ok", list: "ok" });
});

test("without libbpf only loading fails; a file of its name in the current directory is not run", () => {
  copyFileSync(installed(), directory.path("libbpf.so.1"));
  expect(readdirSync(directory.path())).toContain("libbpf.so.1");
  const found = outcome(inPlaceOfLibbpf("/dev/null"));
  const missing = ["LIBBPF_MISSING", expect.stringContaining("libbpf.so.1")];
  expect(found).toMatchObject({ version: null, list: "ok", load: missing, feature: "ok", features: "ok" });
});

test("a libbpf without a function that is needed is too old, and the function is named", () => {
  const source = directory.path("old.c");
  writeFileSync(source, 'const char *libbpf_version_string(void) { return "v0.9"; }\n');
  sh("gcc", "-shared", "-fPIC", "-Wl,-soname,libbpf.so.1", "-o", directory.path("old.so"), source);
  expect(outcome(inPlaceOfLibbpf(directory.path("old.so")))).toMatchObject({
    version: "0.9",
    list: "ok",
    load: ["LIBBPF_TOO_OLD", expect.stringMatching(/"bpf_\w+"/)],
  });
});

const code = ["JIT_UNAVAILABLE", expect.stringContaining("JIT")];
const NO_CALL = { version: null, load: code, list: code, feature: code, features: "none" };

/** What needs no system call of ours works, and so does every error message; the rest says what is missing. */
function sayWhatIsMissing(bpfman: (...words: string[]) => ReturnType<typeof Bun.spawnSync>): void {
  const run = (...words: string[]) => {
    const { exitCode, stdout, stderr } = bpfman("--runtime-dir", directory.path("run"), ...words);
    return [exitCode, String(stdout), String(stderr)];
  };
  expect(run("--help")).toEqual([0, expect.stringContaining("Usage: bpfman"), ""]);
  expect(run("attach", "--help")).toEqual([0, expect.stringContaining("Usage: bpfman attach"), ""]);
  expect(run("completions", "bash")).toEqual([0, expect.stringContaining("_bpfman"), ""]);
  const warned = expect.stringMatching(/^\S+ WARN cannot call .*JIT: libbpf and the kernel's features are unknown\n$/);
  for (const words of [["version"], ["--version"]]) {
    expect([words, run(...words)]).toEqual([words, [0, expect.stringMatching(/^bpfman \d/), warned]]);
  }
  const says = expect.stringMatching(/^error: .*\bJIT\nhint: .*MemoryDenyWriteExecute/);
  for (const words of [
    ["list", "programs"],
    ["unload", "1"],
    ["load", "file", "--path", "/x.o", "--programs", "xdp:x"],
    ["rpc"],
  ]) {
    expect([words, run(...words)]).toEqual([words, [5, "", says]]);
  }
  expect(run("lits")).toEqual([2, "", expect.stringContaining('did you mean "list"?')]);
  const configured = run("--config", directory.path("none.toml"), "version");
  expect(configured).toEqual([expect.any(Number), "", expect.stringContaining(directory.path("none.toml"))]);
}

featureTest("mdwe", "where memory may not be made executable, help, version and errors still work", () => {
  const source = directory.path("launch.c");
  writeFileSync(
    source,
    `#include <sys/prctl.h>
#include <unistd.h>
/* PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN (Linux 6.3): what MemoryDenyWriteExecute= of systemd does. */
int main(int argc, char **argv) { return prctl(65, 1, 0, 0, 0) ? 1 : execv(argv[1], argv + 1); }
`,
  );
  sh("gcc", "-o", directory.path("launch"), source);
  expect(outcome([directory.path("launch")])).toMatchObject(NO_CALL);
  sayWhatIsMissing((...words) => Bun.spawnSync([directory.path("launch"), BPFMAN, ...words]));
});

test("where the JIT is switched off, help, version and errors still work", () => {
  const env = { ...process.env, BUN_JSC_useJIT: "0" };
  expect(outcome(["env", "BUN_JSC_useJIT=0"])).toMatchObject(NO_CALL);
  sayWhatIsMissing((...words) => Bun.spawnSync([BPFMAN, ...words], { env }));
});
