/** No field, help text or renderer is defined twice: what commands have in common is the same object. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, type Field, isGroup, type Node, pathOf, wordsOf } from "../../../src/cli/command.ts";
import { ROOT } from "../../../src/cli/commands.ts";
import { GLOBALS } from "../../../src/cli/globals.ts";
import { ATTACH_KINDS } from "../../../src/domain/kinds.ts";

interface Place {
  readonly path: string;
  readonly command: Command;
  readonly words: readonly Field[];
}

async function* placesBelow(nodes: readonly Node[]): AsyncGenerator<Place> {
  const last = nodes.at(-1) as Node;
  if (isGroup(last)) for (const child of last.children) yield* placesBelow([...nodes, child]);
  else {
    const command = await last.load();
    yield { path: pathOf(nodes), command, words: wordsOf(nodes, command) };
  }
}
const places = await Array.fromAsync(placesBelow([ROOT]));
const options = [
  ...Object.values(GLOBALS).map((field) => ({ path: "bpfman", field: field as Field })),
  ...places.flatMap(({ path, command }) => command.flags.map((field) => ({ path, field }))),
];
const fields = [...options, ...places.flatMap(({ path, words }) => words.map((field) => ({ path, field })))];

/**
 * In one list `--type` is a program's type, in the other a kind of hook; a load takes several maps, each for a name;
 * `--since` is a time where times are listed, and a number where a stream of changes is taken up again, as over JSON-RPC.
 */
const TWO_MEANINGS = ["type", "map", "since"];

test("options of one name are one field, or vary it", () => {
  const origins = new Map<string, Set<unknown>>();
  for (const { field } of options) {
    const { long, of = field } = field;
    origins.set(long, (origins.get(long) ?? new Set()).add(of));
  }
  const several = [...origins].filter(([long, found]) => found.size > 1 && !TWO_MEANINGS.includes(long));
  expect(several.map(([long]) => long)).toEqual([]);
});

test("a help text stands in the sources once", () => {
  const texts = new Map<string, Set<readonly string[]>>();
  for (const { field } of fields) {
    const text = field.doc.join("\n");
    texts.set(text, (texts.get(text) ?? new Set()).add(field.doc));
  }
  expect([...texts].filter(([, found]) => found.size > 1).map(([text]) => text)).toEqual([]);
});

test("each word and option of a command is one of its fields", () => {
  const foreign = places.flatMap(({ path, command, words }) =>
    [...words, ...command.flags]
      .filter((field) => !Object.values(command.fields).includes(field))
      .map((field) => `${path}: ${field.long}`),
  );
  expect(foreign).toEqual([]);
});

test("a function that renders is exported once, and nothing is rendered elsewhere", () => {
  const root = resolve(import.meta.dir, "../../../src/cli");
  const found = new Map<string, string[]>();
  for (const file of new Bun.Glob("**/*.ts").scanSync({ cwd: root })) {
    for (const [, name = ""] of readFileSync(join(root, file), "utf8").matchAll(
      /^(?:export )?(?:function|const) (render\w+)/gm,
    )) {
      found.set(name, [...(found.get(name) ?? []), file]);
    }
  }
  expect(found.size).toBeGreaterThan(10);
  expect([...found].filter(([, files]) => files.length > 1 || !files[0]?.startsWith("render/"))).toEqual([]);
});

test("each kind of program can be attached in both grammars", () => {
  const below = (path: string) =>
    places.flatMap((place) => (place.path.startsWith(path) ? [place.path.slice(path.length)] : []));
  expect(below("bpfman attach ")).toEqual([...ATTACH_KINDS]);
  expect(below("bpfman link attach ")).toEqual([...ATTACH_KINDS]);
});

test("help lists the words that are accepted, and no others", () => {
  const wrong = fields.flatMap(({ path, field: { long, doc, choices } }) => {
    const text = doc.join(" ");
    const [, listed] = /\[possible values: ([^\]]*)\]/.exec(text) ?? [];
    if (choices === undefined || listed === undefined) return [];
    const said = text.split(/\.?[^\w.-]+|\.$/);
    const unsaid = choices.filter((word) => !said.includes(word));
    const unknown = listed.split(", ").filter((word) => !choices.includes(word));
    return [...unsaid, ...unknown].map((word) => `${path} --${long}: ${word}`);
  });
  expect(wrong).toEqual([]);
});
