/** The house rules that no linter knows, as tests. Rules on imports between directories: test/unit/layers.test.ts. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { cliPage } from "../scripts/cli-reference.ts";
import { errorsPage, findingsPage } from "../scripts/generate-docs.ts";
import { capabilitiesOf, PROGRAM_TYPES } from "../src/domain/kinds.ts";
import * as limits from "../src/domain/limits.ts";
import { OPERATIONS } from "../src/service/operations.ts";

const ROOT = resolve(import.meta.dir, "..");
const ARCHITECTURE_LINES_MAX = 360;

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Everything that git has or would add: the repository as others will see it. */
const FILES = Bun.spawnSync(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"])
  .stdout.toString()
  .split("\0")
  .filter((path) => path !== "" && Bun.file(join(ROOT, path)).size > 0);

const isText = (path: string): boolean => !/\.(o|bin|elf|gz|tar|png)$/.test(path);
const isProduct = (path: string): boolean => /^(src|ffi|rpc|lsp)\/.*\.ts$/.test(path);
const isCode = (path: string): boolean => path.endsWith(".ts");

/** `path:line: text` for every line of the files that matches. */
function matches(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((path) =>
    read(path)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

test("the repository's files can be listed", () => {
  expect(FILES).toContain("package.json");
  expect(FILES.filter(isProduct).length).toBeGreaterThan(10);
});

describe("names", () => {
  test("no directory or file is a catch-all", () => {
    const drawers = /(^|\/)(utils?|helpers?|common|misc|shared|lib)(\/|\.ts$)/;
    expect(FILES.filter((path) => drawers.test(path))).toEqual([]);
  });

  test("files are named in lower case with hyphens", () => {
    const named = FILES.filter(isCode).filter((path) => !/^[a-z0-9.-]+$/.test(basename(path)));
    expect(named).toEqual([]);
  });

  test("no barrel: no file is called index.ts", () => {
    expect(FILES.filter((path) => basename(path) === "index.ts")).toEqual([]);
  });
});

describe("size", () => {
  test(`ARCHITECTURE.md has at most ${ARCHITECTURE_LINES_MAX} lines`, () => {
    expect(read("ARCHITECTURE.md").split("\n").length).toBeLessThanOrEqual(ARCHITECTURE_LINES_MAX);
  });
});

describe("uses", () => {
  /** Tests read back what is written for the kernel, by the format that other programs read too (dispatcher/PROTOCOL.md). */
  const READ_BACK = ["readTcConfig", "readXdpConfig"];

  test("the product uses each function and constant that it has", () => {
    const product = new Map(FILES.filter((path) => isProduct(path)).map((path) => [path, read(path)]));
    const words = new Map<string, number>();
    for (const text of product.values()) {
      for (const [word] of text.matchAll(/\w+/g)) words.set(word, (words.get(word) ?? 0) + 1);
    }
    const unused = [...product].flatMap(([path, text]) => {
      const isWhole = ["ffi/layout/", "rpc/client/", "src/grpc/generated/"].some((whole) => path.startsWith(whole));
      if (isWhole) return [];
      const made = [...text.matchAll(/^export (?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm)];
      return made.flatMap(([, name = ""]) => (words.get(name) === 1 ? [`${path}: ${name}`] : []));
    });
    expect(unused.filter((line) => !READ_BACK.some((name) => line.endsWith(`: ${name}`)))).toEqual([]);
  });
});

describe("powers", () => {
  const importOf = (module: string) => new RegExp(`(from|import|require)\\s*\\(?\\s*["']${module}["']`);

  test("bun:ffi is imported under ffi/ only", () => {
    const elsewhere = FILES.filter((path) => isCode(path) && !path.startsWith("ffi/") && path !== "test/tidy.test.ts");
    expect(matches(elsewhere, importOf("bun:ffi"))).toEqual([]);
  });

  test("bun:sqlite is imported by the product under src/store only", () => {
    const elsewhere = FILES.filter((path) => isProduct(path) && !path.startsWith("src/store/"));
    expect(matches(elsewhere, importOf("bun:sqlite"))).toEqual([]);
  });

  test("only src/main.ts ends the process", () => {
    const elsewhere = FILES.filter((path) => isProduct(path) && path !== "src/main.ts");
    expect(matches(elsewhere, /process\.(exit|exitCode|abort|reallyExit)\b/)).toEqual([]);
  });

  test("no linter rule is switched off for a whole file", () => {
    expect(matches(FILES.filter(isCode), /biome-ignore-(all|start)/)).toEqual([]);
  });
});

describe("text", () => {
  const own = ["test/tidy.test.ts"];
  const texts = FILES.filter((path) => isText(path) && !own.includes(path));
  /** Licence and captured output stand as they are. */
  const written = texts.filter((path) => path !== "LICENSE" && !path.startsWith("test/golden/"));

  test("no work is left to comments", () => {
    expect(matches(texts, /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
  });

  test("no path of one machine", () => {
    expect(matches(texts, /(^|["'`\s=(])\/(work|root|Users)\//)).toEqual([]);
  });

  test("text ends with one line feed and has no carriage returns, tabs in TypeScript or trailing spaces", () => {
    const wrong = written.filter((path) => {
      const text = read(path);
      // The formatter sees to blanks in code; what stands in a template is content.
      return !/[^\n]\n$/.test(text) || text.includes("\r") || (isCode(path) ? text.includes("\t") : / \n/.test(text));
    });
    expect(wrong).toEqual([]);
  });

  test("BPF C code says its licence in the first line", () => {
    const wanted = "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause";
    const sources = FILES.filter((path) => /\.(bpf\.c|bpf\.h)$/.test(path) || /(^|\/)bpf\/[^/]*\.[ch]$/.test(path));
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.filter((path) => !read(path).split("\n", 1)[0]?.includes(wanted))).toEqual([]);
  });
});

describe("packages", () => {
  test("package-lock.json names versions and hashes, and no download address", () => {
    const lock: { packages: Record<string, { version?: string; resolved?: string; integrity?: string }> } = JSON.parse(
      read("package-lock.json"),
    );
    const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
    expect(packages.length).toBeGreaterThan(5);
    for (const [path, { version, resolved, integrity }] of packages) {
      expect({ path, resolved }).toEqual({ path, resolved: undefined });
      expect({ path, pinned: version !== undefined && integrity?.startsWith("sha512-") }).toEqual({
        path,
        pinned: true,
      });
    }
  });

  test("versions in package.json are exact, and each dependency has its reason in docs/decisions.md", () => {
    const manifest: { dependencies: Record<string, string>; devDependencies: Record<string, string> } = JSON.parse(
      read("package.json"),
    );
    const decisions = read("docs/decisions.md");
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+(-[a-z]+\.\d+)?$/);
      expect({ name, explained: decisions.includes(`\`${name}\``) }).toEqual({ name, explained: true });
    }
  });
});

describe("documents", () => {
  test("docs/errors.md is what the table of codes says (bun run docs)", () => {
    expect(read("docs/errors.md")).toBe(errorsPage());
  });

  test("docs/findings.md is what the table of findings says (bun run docs)", () => {
    expect(read("docs/findings.md")).toBe(findingsPage());
  });

  test("docs/cli.md has the reference that the command table makes (bun run docs)", async () => {
    const page = read("docs/cli.md");
    expect(page).toBe(await cliPage(page));
  });

  test("ARCHITECTURE.md lists every operation with its access and privilege", () => {
    // Operations of one subject and access may share a row.
    const rows = [...read("ARCHITECTURE.md").matchAll(/^\| (`[^|]+`) \| (\w+) \| (\w+) \|/gm)];
    const listed = rows.flatMap(([, names = "", access, privilege]) =>
      names.split(", ").map((name) => `${name} ${access} ${privilege}`),
    );
    for (const [name, { access, privilege }] of Object.entries(OPERATIONS)) {
      expect(listed).toContain(`\`${name}\` ${access} ${privilege}`);
    }
  });

  test("docs/security.md says what each operation and kind needs, and names every bound with its test", () => {
    const page = read("docs/security.md");
    for (const [name, { privilege }] of Object.entries(OPERATIONS))
      expect(page).toContain(`| \`${name}\` | ${privilege} |`);
    for (const kind of PROGRAM_TYPES)
      expect(page).toContain(`| \`${kind}\` | ${capabilitiesOf(kind).slice(1).join(", ") || "none"} |`);
    const [, bounds = ""] = page.split("| bound | test |");
    const rows = [...bounds.matchAll(/^\| `(\w+)` \| (?:–|`(.+)`) \|$/gm)];
    expect(rows.map(([, name]) => name).sort()).toEqual(Object.keys(limits).sort());
    expect(rows.flatMap(([, , path]) => (path === undefined || FILES.includes(path) ? [] : path))).toEqual([]);
  });

  test("files that the documents name are there", () => {
    const named = FILES.filter((path) => path.endsWith(".md") && path !== "CHANGELOG.md").flatMap((path) =>
      [...read(path).matchAll(/`((?:src|ffi|rpc|lsp|test|scripts|examples)\/[\w./-]+\w)\/?`/g)].map(
        ([, target = ""]) => ({
          path,
          target,
        }),
      ),
    );
    expect(named.length).toBeGreaterThan(50);
    const isThere = (target: string) => FILES.some((file) => file === target || file.startsWith(`${target}/`));
    expect(named.filter(({ target }) => !isThere(target))).toEqual([]);
  });

  test("the walk of one command in ARCHITECTURE.md goes from the command line to the kernel, along what is loaded", () => {
    const [, walk = ""] = read("ARCHITECTURE.md").split("## One command, file by file");
    const stations = [...walk.matchAll(/^\| \d+ \| `([^`]+)`/gm)].map(([, path = ""]) => path);
    expect([stations[0], stations.at(-1)]).toEqual(["src/main.ts", "ffi/safe/bpf.ts"]);
    expect(stations.length).toBeLessThanOrEqual(21);
    // Each is loaded by one before it, in one step or by a file between.
    const loads = (from: string, to: string): boolean => read(from).includes(`/${basename(to)}"`);
    const product = FILES.filter(isProduct);
    const lost = stations.slice(1).filter((station, index) => {
      const before = stations.slice(0, index + 1);
      if (before.some((each) => loads(each, station))) return false;
      return !product.some((between) => loads(between, station) && before.some((each) => loads(each, between)));
    });
    expect(lost).toEqual([]);
  });

  /** What a recipe of CONTRIBUTING.md leaves out of the files that match: it names each, or the directory it is in. */
  const leftOut = (heading: string, pattern: RegExp): string[] => {
    const recipe = read("CONTRIBUTING.md").split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
    const known = FILES.filter(isProduct).filter((path) => pattern.test(read(path)));
    expect(known.length).toBeGreaterThan(2);
    return known.filter((path) => ![path, dirname(path)].some((name) => recipe.includes(`\`${name}\``)));
  };

  test("the recipes name every file that knows a kind, or an operation", () => {
    // Of the kinds the one with the least of its own, and so of the operations.
    expect(leftOut("How to add an attach kind", /"fexit"|\bfexit:/)).toEqual([]);
    const command = /^src\/cli\//;
    expect(leftOut("How to add an operation", /"dispatcher\/get"/).filter((path) => !command.test(path))).toEqual([]);
  });

  test("links between the documents lead somewhere", () => {
    const broken = FILES.filter((path) => path.endsWith(".md")).flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .map(([, target = ""]) => join(path, "..", target).replace(/\/$/, ""))
        .filter((target) => !FILES.some((file) => file === target || file.startsWith(`${target}/`)))
        .map((target) => `${path} -> ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test("commands that the documents name exist in package.json", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    const named = FILES.filter((path) => path.endsWith(".md")).flatMap((path) =>
      [...read(path).matchAll(/\b(?:bun|npm) run ([a-z][a-z0-9:]*)/g)].map(([, script = ""]) => ({ path, script })),
    );
    expect(named.filter(({ script }) => !(script in scripts))).toEqual([]);
  });

  test("the changelog begins with what is not released yet", () => {
    expect(/^## .*$/m.exec(read("CHANGELOG.md"))?.[0]).toBe("## Unreleased");
  });
});
