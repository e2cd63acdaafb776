/** The npm packages, by npm pack: `bpfman` with the command and the client, and one for each processor's executable. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { PROCESSORS, type Processor } from "../bun-for.ts";
import { pack, type Release, ROOT } from "./release.ts";
import { setTimes } from "./tree.ts";

const COMMON = { license: packageJson.license, os: ["linux"] };
/** The client is one file without imports; its types are made of these packages', whose declarations are packed with it. */
const TYPES_FROM = ["valibot", "vscode-jsonrpc", "yaml"] as const;
const nameFor = (processor: Processor): string => `@bpfman/linux-${processor}`;

interface Where {
  readonly release: Release;
  /** A directory for what is packed. */
  readonly work: string;
  readonly output: string;
}

/** Adds package.json and the licence to `directory` and packs it. */
async function packDirectory(directory: string, manifest: object, { release, output }: Where): Promise<void> {
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(join(ROOT, "LICENSE"), join(directory, "LICENSE"));
  await setTimes(directory, release);
  await pack(["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", output], {
    release,
    cwd: directory,
  });
}

/** `@bpfman/linux-PROCESSOR`. */
export async function writeNpmExecutable(
  { executable, thirdParty, processor }: { executable: string; thirdParty: string; processor: Processor },
  where: Where,
): Promise<void> {
  const directory = join(where.work, `npm-${processor}`);
  mkdirSync(join(directory, "bin"), { recursive: true });
  copyFileSync(executable, join(directory, "bin/bpfman"));
  writeFileSync(join(directory, "third-party.txt"), thirdParty);
  const manifest = {
    name: nameFor(processor),
    version: where.release.version,
    description: `bpfman's executable for Linux on ${processor}`,
    ...COMMON,
    cpu: [processor],
    libc: ["glibc"],
    files: ["bin", "third-party.txt"],
  };
  await packDirectory(directory, manifest, where);
}

const DECLARATION = /(\.d\.[cm]?ts|package\.json)$|^licen[sc]e/i;

/** Copies the declarations of a package, with its licence, to where `directory` finds them. */
function copyTypes(name: string, directory: string): void {
  cpSync(join(ROOT, "node_modules", name), join(directory, "node_modules", name), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || DECLARATION.test(basename(path)),
  });
}

/** `bpfman`. */
export async function writeNpmPackage(where: Where): Promise<void> {
  const { release, work } = where;
  const directory = join(work, "npm");
  mkdirSync(join(directory, "bin"), { recursive: true });
  copyFileSync(join(ROOT, "packaging/npm/bpfman.cjs"), join(directory, "bin/bpfman.cjs"));
  chmodSync(join(directory, "bin/bpfman.cjs"), 0o755);
  copyFileSync(join(ROOT, "packaging/npm/README.md"), join(directory, "README.md"));
  const types = join(directory, "client/types");
  await pack(["node_modules/.bin/tsc", "-p", "packaging/npm/tsconfig.json", "--outDir", types], { release });
  copyFileSync(join(ROOT, "dist/client.js"), join(directory, "client/client.js"));
  for (const name of TYPES_FROM) copyTypes(name, directory);
  const executables = (Object.keys(PROCESSORS) as Processor[]).map((each) => [nameFor(each), release.version]);
  const manifest = {
    name: "bpfman",
    version: release.version,
    description: packageJson.description,
    ...COMMON,
    engines: packageJson.engines,
    type: "module",
    bin: { bpfman: "bin/bpfman.cjs" },
    exports: {
      "./client": { types: "./client/types/rpc/client/client.d.ts", default: "./client/client.js" },
      "./package.json": "./package.json",
    },
    optionalDependencies: Object.fromEntries(executables),
    dependencies: Object.fromEntries(TYPES_FROM.map((name) => [name, packageJson.dependencies[name]])),
    bundleDependencies: TYPES_FROM,
    files: ["bin", "client"],
  };
  await packDirectory(directory, manifest, where);
}
