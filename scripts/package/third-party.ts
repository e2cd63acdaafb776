/** The licences of what is inside the executable: the npm packages in the bundle, and Bun with what it links. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../bundle.ts";
import { ROOT } from "./release.ts";

/** Texts that Debian keeps for all its packages (base-files). */
const COMMON_LICENCES = "/usr/share/common-licenses";
/** Texts that stand at the end, by the words of SPDX; Debian's BSD is the licence with three clauses. */
const TEXTS = {
  "Apache-2.0": "Apache-2.0",
  "BSD-3-Clause": "BSD",
  "LGPL-2": "LGPL-2",
  "LGPL-2.1": "LGPL-2.1",
} as const;
const LINE = `\n${"-".repeat(80)}\n\n`;

/** Names of the packages whose code the bundler took, from where it found their files. */
async function bundledPackages(): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-bundle-"));
  try {
    const { metafile } = await bundle({ directory }, "none");
    const files = Object.keys((metafile as { inputs: object }).inputs);
    const names = files.flatMap((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []);
    return [...new Set(names)].sort();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Who has the copyright of a package that has no text: lines at the head of its files. */
function holdersIn(directory: string): string {
  const lines = [...new Bun.Glob("**/*.js").scanSync({ cwd: directory })].flatMap(
    (file) => /^\/\/ (Copyright .*)$/m.exec(readFileSync(join(directory, file), "utf8"))?.[1] ?? [],
  );
  return [...new Set(lines)]
    .sort()
    .map((line) => `${line}\n`)
    .join("");
}

/** Name, version, licence, and its text. Throws if a package comes without one that stands in another place. */
function noticeOf(name: string): string {
  const directory = join(ROOT, "node_modules", name);
  const { version, license }: { version: string; license: string } = JSON.parse(
    readFileSync(join(directory, "package.json"), "utf8"),
  );
  const texts = readdirSync(directory)
    .filter((file) => /^(licen[sc]e|copying|notice)/i.test(file))
    .map((file) => readFileSync(join(directory, file), "utf8").trim());
  const elsewhere = license.split(/[()\s]+|AND/).every((word) => word === "" || Object.hasOwn(TEXTS, word));
  if (texts.length === 0 && !elsewhere) throw new Error(`${name} ${version} has no text of its licence`);
  return `${name} ${version}: ${license}\n\n${texts.join("\n\n") || `${holdersIn(directory)}The text is at the end.`}\n`;
}

/** The notices as one text. */
export async function thirdPartyNotices(): Promise<string> {
  return [
    readFileSync(join(ROOT, "packaging/bun-notice.txt"), "utf8").replace("@BUN_VERSION@", Bun.version),
    ...(await bundledPackages()).map(noticeOf),
    ...Object.entries(TEXTS).map(
      ([name, file]) => `${name}\n\n${readFileSync(join(COMMON_LICENCES, file), "utf8").trim()}\n`,
    ),
  ].join(LINE);
}
