/** How src/main.ts becomes one program: shared by the build and by the test that looks into the bundle. */
import { join, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import type { Processor } from "./bun-for.ts";
import { constantsOf } from "./constants.ts";
import { withStages } from "./stages.ts";

const ROOT = resolve(import.meta.dir, "..");

/**
 * cleye imports these two for help texts and colours, which bpfman makes itself. `ansis` looks at `process.stdout` as it
 * is imported, which costs each command 11 ms and 13 MiB: the bundle has an empty module in their place.
 */
const withoutTerminal: Bun.BunPlugin = {
  name: "cleye without a terminal",
  setup(build) {
    build.onResolve({ filter: /^(ansis|terminal-columns)$/ }, () => ({ path: join(ROOT, "scripts/no-terminal.ts") }));
  },
};

const ENTRY = join(ROOT, "src/main.ts");

/**
 * What commands load after the entry and its imports; no stage imports a later one. `version` loads the first, a
 * listing the first four, a look into a map that is named by its ID the first two and the kernel's, most other commands all but the
 * last, and those that change something all of them.
 */
const STAGES = [
  ["src/runtime.ts", "src/service/parse-request.ts", "src/service/operation.ts"],
  [
    "src/cli/parse/json-word.ts",
    "src/cli/render/table.ts",
    "src/domain/ids.ts",
    "src/domain/pin.ts",
    "src/domain/program.ts",
    "src/inspect/map-answer.ts",
    "src/service/requests/request-fields.ts",
  ],
  ["src/store/open-store.ts"],
  [
    "src/cli/labels.ts",
    "src/cli/render/lists.ts",
    "src/service/requests/program-requests.ts",
    "src/inspect/link-answer.ts",
    "src/inspect/pin-state.ts",
    "src/inspect/program-answer.ts",
    "src/service/recovery/strays.ts",
    "src/bpffs/open-pins.ts",
  ],
  ["src/kernel/open-kernel.ts"],
  ["src/service/require-record.ts", "src/files/open-files.ts"],
  [
    "src/lock/open-lock.ts",
    "src/files/open-processes.ts",
    "src/service/recovery/recover.ts",
    "src/service/removal/remove-program.ts",
  ],
].map((roots) => roots.map((path) => join(ROOT, path)));

/** Only numbers, which the bundler would define and export one by one. */
export const NUMBERS = join(ROOT, "src/domain/limits.ts");

/** Their exports are tables or texts, most of them. */
export const TABLES = [
  "ffi/layout/generated.ts",
  "ffi/layout/generated-objects.ts",
  "ffi/raw/processors.ts",
  "src/cli/render/root-help.ts",
  "src/domain/kernel-words.ts",
  "src/domain/kinds.ts",
  "src/domain/map-type-words.ts",
  "src/domain/perf-events.ts",
  "src/object/section-name.ts",
].map((path) => join(ROOT, path));

/** An executable's path, for this machine's processor or for the one of the given Bun; or a directory for the bundle. */
type Target =
  | { readonly executable: string }
  | { readonly executable: string; readonly processor: Processor; readonly bun: string }
  | { readonly directory: string };

/**
 * Throws with what the bundler says. The options and why: `splitting` keeps each `import()` a chunk that is read when it
 * is called; `bytecode` spares parsing; `jitPolicy` makes the JIT wait twenty times as long, because a command runs most
 * of its code once, and compiling it takes a fifth of a load's CPU time (in main.ts, a session sets it back); the
 * `autoload` pair keeps the executable, which runs as root, from executing a bunfig.toml or reading a .env file in the
 * current directory. A directory has no stages, so that its metafile names each module.
 */
export async function bundle(target: Target, commit: string): Promise<Bun.BuildOutput> {
  const constants = "directory" in target ? null : await constantsOf(NUMBERS, TABLES);
  const output = await Bun.build({
    throw: false,
    entrypoints: [ENTRY],
    target: "bun",
    format: "esm",
    minify: true,
    splitting: true,
    metafile: true,
    plugins: [withoutTerminal, ...(constants === null ? [] : [withStages(ENTRY, STAGES, constants.read)])],
    define: {
      ...constants?.define,
      BPFMAN_VERSION: JSON.stringify(packageJson.version),
      BPFMAN_COMMIT: JSON.stringify(commit),
    },
    ...("directory" in target
      ? { outdir: target.directory }
      : {
          bytecode: true,
          compile: {
            ...("bun" in target ? { target: `bun-linux-${target.processor}`, executablePath: target.bun } : {}),
            outfile: target.executable,
            autoloadBunfig: false,
            autoloadDotenv: false,
            jitPolicy: 20,
          },
        }),
  });
  if (!output.success) throw new Error(output.logs.join("\n"));
  return output;
}
