/**
 * Makes a release of the checkout in the current directory, which must have no changes:
 *
 *   bun scripts/release.ts VERSION [--dry-run] [--key GPG_KEY]
 *
 * Writes the version into package.json, its lock file and the change log, and commits that; keeps a database if its schema was
 * never released; runs all tests on all kernels and processors; makes the packages, and signs their checksums if a key is
 * given; sets the tag. If a step fails, what was committed stays, and the same command goes on from there. Nothing is pushed.
 * --dry-run checks what can be checked, says what would be done, and changes nothing.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SCHEMA } from "../src/store/migrate.ts";
import { run } from "./vm/run.ts";

const USAGE = "usage: bun scripts/release.ts VERSION [--dry-run] [--key GPG_KEY]";
/** Each kernel and processor of the matrix (CONTRIBUTING.md), and the packages in clean roots. */
const TESTS = [
  ["npm", "test"],
  ["npm", "run", "test:vm", "--", "--all"],
  ["npm", "run", "test:packages"],
];
const UNRELEASED = "## Unreleased\n";
const DATABASES = "test/fixtures/databases";

interface Step {
  readonly what: string;
  readonly done: boolean;
  run(): void;
}

/** Runs a command in front of the user. Throws if it fails. */
function show(command: readonly string[]): void {
  const { exitCode } = Bun.spawnSync([...command], { stdio: ["ignore", "inherit", "inherit"] });
  if (exitCode !== 0) throw new Error(`"${command.join(" ")}" ended with exit code ${exitCode}`);
}

const git = (...words: readonly string[]): string => run(["git", ...words]).trim();
const versionIn = (text: string): string => (JSON.parse(text) as { version: string }).version;

/** The text of a file with the first `times` versions in it replaced: in a lock file, those of the project itself. */
const versioned = (text: string, version: string, times: number): string => {
  let left = times;
  return text.replaceAll(/"version": "[^"]+"/g, (found) => (left-- > 0 ? `"version": "${version}"` : found));
};

const canSign = (key: string): boolean =>
  Bun.spawnSync(["gpg", "--batch", "--list-secret-keys", key], { stdio: ["ignore", "ignore", "ignore"] }).exitCode ===
  0;

/** What keeps it from being released; empty if nothing does. */
function obstacles(version: string, key: string | undefined): string[] {
  const log = readFileSync("CHANGELOG.md", "utf8");
  const entries = log.split(UNRELEASED)[1]?.split("\n## ")[0]?.trim() ?? "";
  const begun = log.includes(`\n## ${version}\n`);
  return [
    ...(git("status", "--porcelain") === "" ? [] : ["the checkout has changes: commit or remove them"]),
    ...(git("tag", "--list", `v${version}`) === "" ? [] : [`there is a tag v${version} already`]),
    ...(begun || entries !== "" ? [] : ['CHANGELOG.md says nothing under "## Unreleased"']),
    ...(Bun.semver.order(version, versionIn(readFileSync("package.json", "utf8"))) >= 0
      ? []
      : [`package.json has a later version, ${versionIn(readFileSync("package.json", "utf8"))}`]),
    // Not only after hours of tests.
    ...(key === undefined || canSign(key) ? [] : [`gpg has no secret key "${key}" to sign with`]),
  ];
}

function writeVersion(version: string): void {
  for (const [file, times] of [
    ["package.json", 1],
    ["package-lock.json", 2],
  ] as const) {
    writeFileSync(file, versioned(readFileSync(file, "utf8"), version, times));
  }
  const log = readFileSync("CHANGELOG.md", "utf8");
  writeFileSync("CHANGELOG.md", log.replace(UNRELEASED, `${UNRELEASED}\n## ${version}\n`));
  git("add", "package.json", "package-lock.json", "CHANGELOG.md");
  git("commit", "-m", `release: ${version}`);
}

const isKept = (): boolean =>
  existsSync(DATABASES) &&
  readdirSync(DATABASES).some((file) =>
    readFileSync(join(DATABASES, file), "utf8").startsWith(`PRAGMA user_version = ${SCHEMA.version};`),
  );

function keepDatabase(version: string): void {
  show(["npm", "run", "keep-database", "--", join(DATABASES, `${version}.sql`)]);
  git("add", DATABASES);
  git("commit", "-m", `tests: keep a database of ${version}`);
}

function stepsOf(version: string, key: string | undefined): Step[] {
  const sums = "dist/packages/SHA256SUMS";
  const sign = ["gpg", "--yes", "--armor", "--local-user", key ?? "", "--detach-sign", sums];
  return [
    {
      what: `commit version ${version} in package.json, package-lock.json and CHANGELOG.md`,
      done: readFileSync("CHANGELOG.md", "utf8").includes(`\n## ${version}\n`),
      run: () => writeVersion(version),
    },
    { what: `keep a database of schema ${SCHEMA.version}`, done: isKept(), run: () => keepDatabase(version) },
    { what: "npm run package", done: false, run: () => show(["npm", "run", "package"]) },
    ...TESTS.map((command) => ({ what: command.join(" "), done: false, run: () => show(command) })),
    ...(key === undefined ? [] : [{ what: sign.join(" "), done: false, run: () => show(sign) }]),
    {
      what: `git tag v${version}`,
      done: false,
      run: () => void git("tag", "-a", `v${version}`, "-m", `bpfman ${version}`),
    },
  ];
}

function main(): void {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    options: { "dry-run": { type: "boolean" }, key: { type: "string" } },
    allowPositionals: true,
  });
  const [version = "", ...more] = positionals;
  if (!/^\d+\.\d+\.\d+$/.test(version) || more.length > 0) throw new Error(USAGE);
  process.chdir(git("rev-parse", "--show-toplevel"));
  const found = obstacles(version, values.key);
  if (found.length > 0) throw new Error(found.join("\nrelease: "));
  for (const step of stepsOf(version, values.key)) {
    const word = step.done ? "done before" : values["dry-run"] ? "would" : "now";
    console.log(`release: ${word}: ${step.what}`);
    if (!step.done && !values["dry-run"]) step.run();
  }
  if (values.key === undefined) console.log("release: the checksums are not signed: no --key was given");
  if (!values["dry-run"])
    console.log(`release: v${version} is ready: push the tag, and publish what is in dist/packages`);
}

try {
  main();
} catch (failure) {
  console.error(`release: ${failure instanceof Error ? failure.message : failure}`);
  process.exit(1);
}
