/**
 * The extension for Visual Studio Code. `bun run build:vscode` puts it, ready to run, into dist/vscode: one bundled script and
 * what goes with it, with the version of bpfman. `npm run package:vscode` also makes dist/packages/bpfman-VERSION.vsix of that,
 * whose bytes depend on the sources only.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { ROOT } from "./package/release.ts";
import { bundleNotices } from "./package/third-party.ts";

const SOURCE = join(ROOT, "examples/vscode");
const STAGE = join(ROOT, "dist/vscode");
const PACKAGES = join(ROOT, "dist/packages");
/** 1980-01-01, the first day that entries of zip files can have. */
const EPOCH_SECONDS = 315_532_800;

/** The README as it is read in an editor, which has neither the repository nor its pictures at hand. */
const alone = (readme: string): string =>
  readme
    .replaceAll(
      /!\[(.+?)\]\(([^)]+\.png)\)/g,
      (_, what: string, path: string) =>
        `![${what}](data:image/png;base64,${readFileSync(join(SOURCE, path)).toBase64()})`,
    )
    .replaceAll(/(?<!!)\[(.+?)\]\((?!https?:|#)[^)]+\)/g, "$1");

async function stage(): Promise<void> {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  const built = await Bun.build({
    throw: false,
    entrypoints: [join(SOURCE, "src/extension.ts")],
    target: "node",
    format: "cjs",
    minify: true,
    metafile: true,
    external: ["vscode"],
    outdir: join(STAGE, "out"),
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
  writeFileSync(join(STAGE, "THIRD-PARTY.txt"), bundleNotices(Object.keys(built.metafile?.inputs ?? {})));
  cpSync(join(SOURCE, "media"), join(STAGE, "media"), { recursive: true });
  cpSync(join(SOURCE, ".vscodeignore"), join(STAGE, ".vscodeignore"));
  cpSync(join(ROOT, "LICENSE"), join(STAGE, "LICENSE"));
  const manifest = JSON.parse(readFileSync(join(SOURCE, "package.json"), "utf8"));
  const versioned = { ...manifest, version: packageJson.version };
  writeFileSync(join(STAGE, "package.json"), `${JSON.stringify(versioned, null, 2)}\n`);
  writeFileSync(join(STAGE, "README.md"), alone(readFileSync(join(SOURCE, "README.md"), "utf8")));
}

function pack(): void {
  mkdirSync(PACKAGES, { recursive: true });
  const output = join(PACKAGES, `bpfman-${packageJson.version}.vsix`);
  const command = [
    join(ROOT, "node_modules/.bin/vsce"),
    "package",
    "--allow-missing-repository",
    "--no-rewrite-relative-links",
    "--out",
    output,
  ];
  const { exitCode } = Bun.spawnSync(command, {
    cwd: STAGE,
    env: { ...process.env, SOURCE_DATE_EPOCH: String(EPOCH_SECONDS), TZ: "UTC" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) throw new Error(`vsce package failed with exit code ${exitCode}`);
}

await stage();
if (process.argv.includes("--package")) pack();
