/** scripts/release.ts in a repository of its own, with a stand-in for npm that notes what it is asked for. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SCHEMA } from "../../src/store/migrate.ts";
import { blocksOf } from "../documents/document.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const SCRIPT = resolve(import.meta.dir, "../../scripts/release.ts");
const directory = temporaryDirectory();
const at = (name: string): string => join(directory.path("repository"), name);

/** What it signs with: a directory of gpg's with a key that is thrown away, whose user ID is what the documents show. */
let keys = "";
const KEY = "KEY";

const STAND_IN = `#!/bin/sh
echo "npm $*" >>"$NPM_LOG"
case "$*" in
  *"$NPM_FAILS"*) exit 3 ;;
  "run package") mkdir -p dist/packages && echo sum >dist/packages/SHA256SUMS ;;
  "run keep-database"*) mkdir -p test/fixtures/databases && echo "PRAGMA user_version = $SCHEMA;" >"$4" ;;
esac
`;

function run(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const result = Bun.spawnSync([...command], {
    cwd: directory.path("repository"),
    env: {
      PATH: `${directory.path("bin")}:${process.env.PATH}`,
      HOME: directory.path(),
      GNUPGHOME: keys,
      NPM_LOG: directory.path("npm.log"),
      NPM_FAILS: "nothing fails",
      SCHEMA: String(SCHEMA.version),
      GIT_CONFIG_COUNT: "2",
      GIT_CONFIG_KEY_0: "user.name",
      GIT_CONFIG_VALUE_0: "Tester",
      GIT_CONFIG_KEY_1: "user.email",
      GIT_CONFIG_VALUE_1: "tester@example.com",
      ...env,
    },
    stderr: "pipe",
  });
  return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
}
const git = (...words: readonly string[]): string => run(["git", ...words]).out.trim();
const release = (words: readonly string[], env?: Readonly<Record<string, string>>) =>
  run([process.execPath, SCRIPT, ...words], env);
const asked = (): string[] =>
  existsSync(directory.path("npm.log")) ? readFileSync(directory.path("npm.log"), "utf8").trim().split("\n") : [];

beforeAll(() => {
  // Its path is that of a socket, which may have 108 bytes.
  keys = mkdtempSync(join(tmpdir(), "k-"));
  const made = Bun.spawnSync(
    ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY, "ed25519", "sign", "never"],
    { env: { PATH: process.env.PATH ?? "", GNUPGHOME: keys }, stderr: "pipe" },
  );
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
});
afterAll(() => {
  Bun.spawnSync(["gpgconf", "--homedir", keys, "--kill", "all"]);
  rmSync(keys, { recursive: true, force: true });
});

beforeEach(() => {
  for (const name of ["repository", "bin"]) mkdirSync(directory.path(name));
  writeFileSync(directory.path("bin/npm"), STAND_IN, { mode: 0o755 });
  const manifest = { name: "bpfman", version: "0.1.0" };
  writeFileSync(at("package.json"), JSON.stringify({ ...manifest, devDependencies: {} }, null, 2));
  const other = { "node_modules/other": { version: "0.1.0" } };
  writeFileSync(
    at("package-lock.json"),
    JSON.stringify({ ...manifest, packages: { "": manifest, ...other } }, null, 2),
  );
  writeFileSync(at("CHANGELOG.md"), "# Changelog\n\n## Unreleased\n\n- Something.\n\n## 0.1.0\n\n- The first.\n");
  writeFileSync(at(".gitignore"), "dist/\n");
  git("init", "-q");
  git("add", ".");
  git("commit", "-q", "-m", "begin");
});

test("CONTRIBUTING.md shows words that it takes", () => {
  const [block] = blocksOf("CONTRIBUTING.md").filter(
    ({ attributes }) => attributes["run-by"] === "test/e2e/release.test.ts",
  );
  const lines = block?.text.trim().split("\n") ?? [];
  expect(lines).toHaveLength(2);
  for (const line of lines) {
    const [program, script, ...words] = line.replace(/ +#.*$/, "").split(" ");
    expect([program, resolve(import.meta.dir, "../..", script ?? "")]).toEqual(["bun", SCRIPT]);
    expect(release([...words, "--dry-run"])).toMatchObject({ code: 0, error: "" });
  }
});

test("a dry run says what it would do, and changes nothing", () => {
  const head = git("rev-parse", "HEAD");
  const { code, out, error } = release(["0.2.0", "--dry-run", "--key", KEY]);
  expect([code, error]).toEqual([0, ""]);
  expect(out.trim().split("\n")).toEqual([
    "release: would: commit version 0.2.0 in package.json, package-lock.json and CHANGELOG.md",
    `release: would: keep a database of schema ${SCHEMA.version}`,
    "release: would: npm run package",
    "release: would: npm test",
    "release: would: npm run test:vm -- --all",
    "release: would: npm run test:packages",
    "release: would: gpg --yes --armor --local-user KEY --detach-sign dist/packages/SHA256SUMS",
    "release: would: git tag v0.2.0",
  ]);
  expect([git("rev-parse", "HEAD"), git("status", "--porcelain"), git("tag"), asked()]).toEqual([head, "", "", []]);
});

test("a release has its version, change log, database and tag; what failed goes on where it was", () => {
  const failed = release(["0.2.0"], { NPM_FAILS: "test:vm -- --all" });
  expect([failed.code, failed.error]).toEqual([1, 'release: "npm run test:vm -- --all" ended with exit code 3\n']);
  expect(git("tag")).toBe("");
  const { code, out, error } = release(["0.2.0"]);
  expect([code, error]).toEqual([0, ""]);
  expect(out).toContain("release: done before: commit version 0.2.0");
  expect(out).toContain("the checksums are not signed");
  expect(git("log", "--format=%s")).toBe("tests: keep a database of 0.2.0\nrelease: 0.2.0\nbegin");
  expect(git("describe", "--exact-match", "HEAD")).toBe("v0.2.0");
  expect(JSON.parse(readFileSync(at("package.json"), "utf8"))).toMatchObject({ version: "0.2.0" });
  expect(JSON.parse(readFileSync(at("package-lock.json"), "utf8"))).toMatchObject({
    version: "0.2.0",
    packages: { "": { version: "0.2.0" }, "node_modules/other": { version: "0.1.0" } },
  });
  expect(readFileSync(at("CHANGELOG.md"), "utf8")).toContain("## Unreleased\n\n## 0.2.0\n\n- Something.\n");
  expect(asked()).toContain("npm run test:packages");
});

test("the checksums are signed with the key that is named, and the signature verifies", () => {
  const { code, out } = release(["0.2.0", "--key", KEY]);
  expect([code, out]).toEqual([0, expect.not.stringContaining("not signed")]);
  const sums = "dist/packages/SHA256SUMS";
  const verify = () => run(["gpg", "--batch", "--verify", `${sums}.asc`, sums]);
  expect(verify()).toMatchObject({ code: 0, error: expect.stringContaining(`Good signature from "${KEY}"`) });
  writeFileSync(at(sums), "another sum\n");
  expect(verify()).toMatchObject({ code: 1, error: expect.stringContaining("BAD signature") });
});

describe("is refused", () => {
  const refused = (words: readonly string[], why: string): void => {
    const head = git("rev-parse", "HEAD");
    expect(release(words)).toEqual({ code: 1, out: "", error: `release: ${why}\n` });
    expect([git("rev-parse", "HEAD"), asked()]).toEqual([head, []]);
  };

  test("with changes that are not committed", () => {
    writeFileSync(at("new.txt"), "");
    refused(["0.2.0"], "the checkout has changes: commit or remove them");
  });

  test("twice", () => {
    git("tag", "v0.2.0");
    refused(["0.2.0"], "there is a tag v0.2.0 already");
  });

  test("backwards", () => {
    refused(["0.0.9"], "package.json has a later version, 0.1.0");
  });

  test("with nothing new", () => {
    writeFileSync(at("CHANGELOG.md"), "# Changelog\n\n## Unreleased\n\n## 0.1.0\n\n- The first.\n");
    git("commit", "-q", "-am", "empty");
    refused(["0.2.0"], 'CHANGELOG.md says nothing under "## Unreleased"');
  });

  test("with a key that gpg does not have, before anything is tested", () => {
    refused(["0.2.0", "--key", "NOBODY"], 'gpg has no secret key "NOBODY" to sign with');
  });

  test("without a version", () => {
    refused(["next"], "usage: bun scripts/release.ts VERSION [--dry-run] [--key GPG_KEY]");
  });
});
