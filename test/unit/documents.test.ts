/**
 * Every command block of the documents is run by a test, and the output that they show is compared with the real one.
 * That happens in test/kernel/documents.test.ts and test/images/documents.test.ts; this test checks that they miss no
 * block.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Block, blocksOf, DOCUMENTS, isRun, needsOf, patternOf, read, shownOf } from "../documents/document.ts";

const ROOT = resolve(import.meta.dir, "../..");

/** Text that is neither typed nor printed: trees, arrows, frames, tables of measurements, usage lines. */
const DRAWINGS = [
  "ARCHITECTURE.md",
  "rpc/PROTOCOL.md",
  "src/dispatcher/PROTOCOL.md",
  "docs/benchmarks.md",
  "docs/cli.md",
];
/** In the last two, lines do begin with the name of a command. */
const WITH_COMMANDS = ["docs/benchmarks.md", "docs/cli.md"];
/** Tests that read every block of a language from a document, and run it. */
const READERS: readonly { readonly path: string; readonly languages: readonly string[]; readonly test: string }[] = [
  { path: "docs/embedding.md", languages: ["ts", "js"], test: "test/e2e/embedding.test.ts" },
  { path: "rpc/PROTOCOL.md", languages: ["json"], test: "test/documents/protocol-page.ts" },
];
/** What blocks may need, which are all that the two tests look for. */
const NEEDS = ["tcx", "ext", "build", "internet"];

const all = DOCUMENTS.flatMap((path) => blocksOf(path).map((block) => ({ path, block })));
const placeOf = ({ path, block }: { path: string; block: Block }): string => `${path}:${block.line}`;

/** The scripts of package.json that a block of nothing but `npm run …` and the like names; null when there is more in it. */
function scriptsOf({ text }: Block): string[] | null {
  const names = text
    .trimEnd()
    .split("\n")
    .map((line) => /^(?:sudo )?(?:npm|bun) (?:run ([a-z:]+)|(test))(?: +#.*)?$/.exec(line))
    .map((found) => found?.[1] ?? found?.[2] ?? null);
  return names.includes(null) ? null : names.flatMap((name) => name ?? []);
}

/** Why nobody would notice if the block were wrong; null when somebody does. */
function loose(path: string, block: Block): string | null {
  const { language, attributes } = block;
  const other = attributes["run-by"];
  if (other === "package.json") {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read(other));
    const named = scriptsOf(block);
    return named?.every((name) => name in scripts) ? null : "it is more than scripts of package.json";
  }
  if (other !== undefined) {
    return existsSync(join(ROOT, other)) && read(other).includes(path) ? null : `${other} does not read it`;
  }
  const source = attributes["printed-by"];
  if (source !== undefined) {
    const printed = shownOf(source).some(({ shown, by }) => by !== null && shown.text.includes(block.text));
    return printed ? null : `${source} does not show it`;
  }
  if (attributes.file !== undefined || isRun(block)) return null;
  const reader = READERS.find((each) => each.path === path && each.languages.includes(language));
  if (reader !== undefined) return read(reader.test).includes(path) ? null : `${reader.test} does not read it`;
  if (language !== "text") return `nothing is done with ${language || "a block without a language"}`;
  if (DRAWINGS.includes(path)) {
    const words = block.text
      .split("\n")
      .flatMap((line) => /^ *(?:[$#] )?(?:sudo )?([\w.-]+)(?: |$)/.exec(line)?.[1] ?? []);
    const command = words.find((word) => word === "bpfman" || Bun.which(word) !== null);
    return command === undefined || WITH_COMMANDS.includes(path) ? null : `${command} is a command`;
  }
  const by = shownOf(path).find(({ shown }) => shown.line === block.line)?.by ?? null;
  return by === null ? "nothing before it prints it" : null;
}

describe("blocks of the documents", () => {
  test("are all run, written to a file that is used, printed, or read by a test", () => {
    expect(all.length).toBeGreaterThan(80);
    expect(
      all.flatMap(({ path, block }) => {
        const why = loose(path, block);
        return why === null ? [] : [`${placeOf({ path, block })}: ${why}`];
      }),
    ).toEqual([]);
  });

  test("are fenced with ```, and nothing is a block by being indented", () => {
    const others = DOCUMENTS.flatMap((path) =>
      [...read(path).matchAll(/^(~~~|\n {4,}[^\s|-])/gm)].map(({ index }) => `${path} at ${index}`),
    );
    expect(others).toEqual([]);
  });

  test("need nothing that no test looks for", () => {
    expect(all.filter(({ block }) => needsOf(block).some((need) => !NEEDS.includes(need))).map(placeOf)).toEqual([]);
  });

  test("that are files of a shell or a workflow are used by what follows", () => {
    for (const path of DOCUMENTS) {
      const blocks = blocksOf(path);
      for (const [at, { attributes }] of blocks.entries()) {
        if (attributes.file === undefined) continue;
        expect([path, attributes.file, blocks.slice(at + 1).some(isRun)]).toEqual([path, attributes.file, true]);
      }
    }
  });
});

test("README sells and teaches in one screen: the first heading comes after at most 64 lines", () => {
  const lines = read("README.md").split("\n");
  const heading = lines.findIndex((line) => line.startsWith("## "));
  expect(heading).toBeGreaterThan(0);
  expect(heading).toBeLessThanOrEqual(64);
});

describe("what a document shows", () => {
  const shows = (text: string, attributes: Record<string, string> = {}) =>
    patternOf({ language: "text", attributes, text, line: 1 });

  test("is matched letter by letter", () => {
    expect("a\nb (1) [x]\nc\n").toMatch(shows("b (1) [x]\n"));
    expect("ab (1)\n").not.toMatch(shows("b (1)\n"));
    expect("b (1) c\n").not.toMatch(shows("b (1)\n"));
    expect("b (2)\n").not.toMatch(shows("b (1)\n"));
    expect("b  (1)\n").not.toMatch(shows("b (1)\n"));
  });

  test("may leave out a part of a line, and no line", () => {
    expect("id 7, tag 9f, ok\n").toMatch(shows("id 7, …, ok\n"));
    expect("id 7\ntag\nok\n").not.toMatch(shows("id …ok\n"));
  });

  test("may have other numbers where it says so", () => {
    expect("12345  xdp 8 count\n").toMatch(shows("42     xdp 1 count\n", { numbers: "vary" }));
    expect("12345  xdp - count\n").not.toMatch(shows("42     xdp 1 count\n", { numbers: "vary" }));
  });
});
