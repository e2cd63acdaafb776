/** The licences of what is packed: the npm packages in a bundle and, in the executable, Bun with what it links. */
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

/** The files that the bundler puts into the executable. */
async function bundledFiles(): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-bundle-"));
  try {
    const { metafile } = await bundle({ directory }, "none");
    return Object.keys((metafile as { inputs: object }).inputs);
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

/** Name, version, licence, and its text. Throws if a package has none, and its licence is not one of those at the end. */
function noticeOf(directory: string, atEnd: object): string {
  const { name, version, license }: Record<"name" | "version" | "license", string> = JSON.parse(
    readFileSync(join(directory, "package.json"), "utf8"),
  );
  const texts = readdirSync(directory)
    .filter((file) => /^(licen[sc]e|copying|notice)/i.test(file))
    .map((file) => readFileSync(join(directory, file), "utf8").trim());
  const isAtEnd = license.split(/[()\s]+|AND/).every((word) => word === "" || Object.hasOwn(atEnd, word));
  if (texts.length === 0 && !isAtEnd) throw new Error(`${name} ${version} has no text of its licence`);
  return `${name} ${version}: ${license}\n\n${texts.join("\n\n") || `${holdersIn(directory)}The text is at the end.`}\n`;
}

/** The notice of each npm package of which these files, as the bundler names them, are a part. */
function noticesOf(files: readonly string[], atEnd: object): string[] {
  const packages = files.flatMap(
    (file) => /node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [],
  );
  if (packages.length === 0) throw new Error("the bundler names no package");
  return [...new Set(packages)].sort().map((path) => noticeOf(join(ROOT, path), atEnd));
}

/** The notices for a bundle of scripts alone, as one text. */
export const bundleNotices = (files: readonly string[]): string => noticesOf(files, {}).join(LINE);

/** The notices for the executable, as one text. */
export async function thirdPartyNotices(): Promise<string> {
  return [
    readFileSync(join(ROOT, "packaging/bun-notice.txt"), "utf8").replace("@BUN_VERSION@", Bun.version),
    ...noticesOf(await bundledFiles(), TEXTS),
    ...Object.entries(TEXTS).map(
      ([name, file]) => `${name}\n\n${readFileSync(join(COMMON_LICENCES, file), "utf8").trim()}\n`,
    ),
  ].join(LINE);
}
