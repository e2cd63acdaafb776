/** The Bun of another processor, to build an executable for it: the npm package that package-lock.json pins. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "./vm/run.ts";

const ROOT = resolve(import.meta.dir, "..");

/** The processors that bpfman is built for, as Node.js names them, and as Bun's packages do. */
export const PROCESSORS = { x64: "x64", arm64: "aarch64" } as const;

export type Processor = keyof typeof PROCESSORS;

const isProcessor = (name: string): name is Processor => Object.hasOwn(PROCESSORS, name);

/** The processor that the words of a command line name, as `--arch=arm64`; null without words. Throws on anything else. */
export function processorIn(words: readonly string[]): Processor | null {
  const [word, ...more] = words;
  if (word === undefined) return null;
  const name = /^--arch=(.*)$/.exec(word)?.[1];
  if (name === undefined || more.length > 0)
    throw new Error(`unknown option "${more[0] ?? word}": there is --arch=ARCH`);
  if (!isProcessor(name)) {
    throw new Error(`unknown processor "${name}": the processors are ${Object.keys(PROCESSORS).join(" and ")}`);
  }
  return name;
}

interface Pinned {
  readonly version: string;
  /** `sha512-` and the digest in base64, of the packed package. */
  readonly integrity: string;
}

function pinned(name: string): Pinned {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, Pinned | undefined>;
  };
  const found = lock.packages[`node_modules/${name}`];
  if (!found?.integrity.startsWith("sha512-")) throw new Error(`package-lock.json does not pin ${name}`);
  return found;
}

/**
 * Directory of an npm package that is for another processor, in `modules`. `npm install` leaves out such packages, although the
 * lock file has them: so npm packs it, and it is unpacked only if it has the hash of the lock file. Throws if npm cannot get it,
 * or it has another hash.
 */
export function packageForOther(name: string, modules = join(ROOT, "node_modules")): string {
  const { version, integrity } = pinned(name);
  const directory = join(modules, ".other-processors", `${name.replace("/", "-")}-${version}`);
  if (existsSync(directory)) return directory;
  console.log(`build: fetching ${name} ${version}`);
  mkdirSync(join(directory, ".."), { recursive: true });
  const work = mkdtempSync(`${directory}.`);
  try {
    run(["npm", "pack", "--silent", "--ignore-scripts", `${name}@${version}`], work);
    const packed = readdirSync(work).find((file) => file.endsWith(".tgz"));
    if (packed === undefined) throw new Error(`npm packed no ${name}`);
    const digest = createHash("sha512")
      .update(readFileSync(join(work, packed)))
      .digest("base64");
    if (`sha512-${digest}` !== integrity) {
      throw new Error(
        `${name} ${version} has another hash (sha512-${digest}) than in package-lock.json: do not use it`,
      );
    }
    run(["tar", "-xf", packed, "--no-same-owner"], work);
    rmSync(directory, { recursive: true, force: true });
    renameSync(join(work, "package"), directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return directory;
}

/** Path of the Bun executable for that processor: this one, or that of a package in `modules`. Throws as packageForOther does. */
export function bunFor(processor: Processor, modules?: string): string {
  if (processor === process.arch) return process.execPath;
  return join(packageForOther(`@oven/bun-linux-${PROCESSORS[processor]}`, modules), "bin/bun");
}
