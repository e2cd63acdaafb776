/**
 * `npm run package`, after scripts/setup: packs bpfman for both processors into dist/packages, with SHA256SUMS. Two runs on
 * the same commit write the same bytes. With kinds of packages as arguments, only those: archive deb rpm npm image vscode.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROCESSORS, type Processor } from "./bun-for.ts";
import { writeDeb } from "./package/deb.ts";
import { writeImage } from "./package/image.ts";
import { writeNpmExecutable, writeNpmPackage } from "./package/npm.ts";
import { pack, ROOT, releaseOfCommit } from "./package/release.ts";
import { writeRpm } from "./package/rpm.ts";
import { thirdPartyNotices } from "./package/third-party.ts";
import { writeArchive, writeTree } from "./package/tree.ts";

const KINDS = ["archive", "deb", "rpm", "npm", "image", "vscode"] as const;
const OUTPUT = join(ROOT, "dist/packages");
const WORK = join(ROOT, "dist/packaging");
const SPEAKER = join(ROOT, "dist/bpfman");

function chosen(words: readonly string[]): ReadonlySet<string> {
  const unknown = words.find((word) => !KINDS.some((kind) => kind === word));
  if (unknown !== undefined) throw new Error(`unknown kind of package "${unknown}": there are ${KINDS.join(", ")}`);
  return new Set(words.length > 0 ? words : KINDS);
}

/** Builds the executables, one for each processor. */
async function executables(release: {
  readonly version: string;
  readonly time: number;
}): Promise<Map<Processor, string>> {
  const built = new Map<Processor, string>();
  for (const processor of Object.keys(PROCESSORS) as Processor[]) {
    const own = processor === process.arch;
    await pack([process.execPath, "scripts/build.ts", ...(own ? [] : [`--arch=${processor}`])], { release });
    built.set(processor, own ? SPEAKER : join(ROOT, "dist", processor, "bpfman"));
  }
  return built;
}

async function main(): Promise<void> {
  const startedAt = performance.now();
  const kinds = chosen(process.argv.slice(2));
  const release = releaseOfCommit();
  for (const directory of [OUTPUT, WORK]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
  }
  const built = await executables(release);
  const thirdParty = await thirdPartyNotices();
  const where = { release, work: WORK, output: OUTPUT };
  const forProcessor = async ([processor, executable]: [Processor, string]): Promise<void> => {
    const tree = join(WORK, processor);
    await writeTree(tree, release, { executable, speaker: SPEAKER, thirdParty });
    const archive = join(OUTPUT, `bpfman-${release.version}-linux-${processor}.tar.xz`);
    if (kinds.has("archive")) await writeArchive(tree, archive, release);
    if (kinds.has("deb")) await writeDeb(tree, { ...where, processor });
    if (kinds.has("rpm")) await writeRpm(tree, { ...where, processor });
    if (kinds.has("npm")) await writeNpmExecutable({ executable, thirdParty, processor }, where);
  };
  // Two at a time: each is a compressor that keeps a processor busy.
  await Promise.all([...built].map(forProcessor));
  if (kinds.has("npm")) await writeNpmPackage(where);
  if (kinds.has("image")) await writeImage(built, { ...where, thirdParty });
  if (kinds.has("vscode")) await pack(["npm", "run", "--silent", "package:vscode"], { release });
  const sums = readdirSync(OUTPUT)
    .sort()
    .map(
      (name) =>
        `${createHash("sha256")
          .update(readFileSync(join(OUTPUT, name)))
          .digest("hex")}  ${name}\n`,
    );
  writeFileSync(join(OUTPUT, "SHA256SUMS"), sums.join(""));
  rmSync(WORK, { recursive: true });
  process.stdout.write(sums.join(""));
  console.log(
    `package: ${sums.length} packages of bpfman ${release.version} in ${Math.round((performance.now() - startedAt) / 1000)} s`,
  );
}

try {
  await main();
} catch (failure) {
  console.error(`package: ${failure instanceof Error ? failure.message : failure}`);
  process.exit(1);
}
