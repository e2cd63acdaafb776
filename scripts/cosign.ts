/** cosign from Debian's archive: the tests use it to check our signatures, and to make signatures that we verify. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, fetchPackages } from "./debian.ts";

/** The last of the 2.x series, and the current one. */
export const COSIGN_SUITES = { "2": "trixie", "3": "sid" } as const;
export type CosignSeries = keyof typeof COSIGN_SUITES;

/** Path of the executable, from the cache or from Debian's archive. If neither has it, throws and says what to do. */
export function fetchCosign(series: CosignSeries): string {
  const suite = COSIGN_SUITES[series];
  const directory = join(cacheDirectory("bpfman-cosign"), series);
  const path = join(directory, "tree/usr/bin/cosign");
  if (existsSync(join(directory, "complete"))) return path;
  process.stderr.write(`cosign: downloading version ${series} from Debian's ${suite}\n`);
  try {
    fetchPackages(directory, { suite, packages: () => ["cosign"] });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `cosign ${series} is not at ${path} and could not be downloaded: ${why}\n` +
        `it is in the package "cosign" of Debian's ${suite}, which apt downloads from the mirror that this machine uses`,
    );
  }
  return path;
}
