/** How src/main.ts becomes one program: shared by the build and by the test that looks into the bundle. */
import { join, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };

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

interface Result {
  /** Where the executable goes; with null the bundle is not compiled into one, and goes into `folder`. */
  readonly executable: string | null;
  readonly folder?: string;
  readonly commit: string;
}

/**
 * The options and why: `splitting` keeps each `import()` a chunk that is read when it is called; `bytecode` spares
 * parsing; the `autoload` pair keeps the executable, which runs as root, from executing a bunfig.toml or reading a .env
 * file in the current directory.
 */
export async function bundle({ executable, folder, commit }: Result): Promise<Bun.BuildOutput> {
  return Bun.build({
    entrypoints: [join(ROOT, "src/main.ts")],
    target: "bun",
    format: "esm",
    minify: true,
    splitting: true,
    metafile: true,
    plugins: [withoutTerminal],
    define: { BPFMAN_VERSION: JSON.stringify(packageJson.version), BPFMAN_COMMIT: JSON.stringify(commit) },
    ...(executable === null
      ? { outdir: folder }
      : { bytecode: true, compile: { outfile: executable, autoloadBunfig: false, autoloadDotenv: false } }),
  } as Bun.BuildConfig);
}
