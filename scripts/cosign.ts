/** cosign from Debian's archive: the judge of what we sign in tests, and the maker of what we verify. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, fetchPackages } from "./debian.ts";

/** The last of the 2.x series, and the one that is current. */
export const COSIGN_SUITES = { "2": "trixie", "3": "sid" } as const;
export type CosignSeries = keyof typeof COSIGN_SUITES;

/** Path of the executable, from the cache or from Debian's archive. Throws, and says what to do, when neither has it. */
export function fetchCosign(series: CosignSeries): string {
  const suite = COSIGN_SUITES[series];
  const folder = join(cacheFolder("bpfman-cosign"), series);
  const path = join(folder, "tree/usr/bin/cosign");
  if (existsSync(join(folder, "complete"))) return path;
  process.stderr.write(`cosign: fetching version ${series} from Debian's ${suite}\n`);
  try {
    fetchPackages(folder, { suite, packages: () => ["cosign"] });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `cosign ${series} is not at ${path}, and could not be fetched: ${why}\n` +
        `it is package "cosign" of Debian's ${suite}, fetched by apt from the mirror that this machine uses`,
    );
  }
  return path;
}
