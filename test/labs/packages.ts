/** The packages of `npm run package`, and those of an earlier commit. */
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import type { Processor } from "../../scripts/bun-for.ts";
import { writeDeb } from "../../scripts/package/deb.ts";
import { ARCHITECTURES, releaseOfCommit } from "../../scripts/package/release.ts";
import { writeTree } from "../../scripts/package/tree.ts";
import { run } from "../../scripts/vm/run.ts";

const ROOT = resolve(import.meta.dir, "../..");
/** Another directory than `npm run package` writes: downloaded packages of a release, for example. */
const PACKAGES = process.env.BPFMAN_PACKAGES ?? join(ROOT, "dist/packages");
/** The last commit without packages, whose database has the schema of 0.1.0. */
const EARLIER = "f16fc23c09d3";

export const VERSION = packageJson.version;
const ARCHITECTURE = ARCHITECTURES[process.arch as Processor];
export const DEB_ARCHITECTURE = ARCHITECTURE.deb;
export const RPM_ARCHITECTURE = ARCHITECTURE.rpm;

/** Path of the only package whose name ends like this. Throws if it was not made. */
export function packageNamed(end: string): string {
  const found = existsSync(PACKAGES) ? readdirSync(PACKAGES).filter((name) => name.endsWith(end)) : [];
  const [name, ...more] = found;
  if (name === undefined || more.length > 0)
    throw new Error(`no package *${end} in ${PACKAGES}: run "npm run package"`);
  return join(PACKAGES, name);
}

/** Why there is no executable of the earlier commit; null if it can be built. */
export const noEarlier: string | null =
  Bun.spawnSync(["git", "-C", ROOT, "cat-file", "-e", `${EARLIER}^{commit}`]).exitCode === 0
    ? null
    : "the clone has no history";

/** The executable as of then, in a .deb as this repository makes it: 0.1.0, one that any other version replaces. */
export async function earlierDeb(directory: string): Promise<string> {
  const source = join(directory, "earlier");
  mkdirSync(source);
  run(["sh", "-c", `git -C "$0" archive ${EARLIER} | tar -x -C "$1"`, ROOT, source]);
  symlinkSync(join(ROOT, "node_modules"), join(source, "node_modules"));
  run([process.execPath, "scripts/build.ts"], source);
  const executable = join(source, "dist/bpfman");
  const release = { ...releaseOfCommit(), version: "0.1.0~earlier" };
  await writeTree(join(directory, "tree"), release, { executable, speaker: executable, thirdParty: "" });
  const options = { release, processor: process.arch as Processor, output: directory, compression: "none" } as const;
  return writeDeb(join(directory, "tree"), options);
}
