/** A document as its tests read it: its fenced blocks, and the output that they show. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** Documents that tests read, from the repository's root. */
export const DOCUMENTS: readonly string[] = ["*.md", "{docs,examples,rpc,src}/**/*.md"]
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })])
  .sort();

/** A fenced block: ```` ```sh needs=ext ````, ```` ```c file=counter.bpf.c ````, ```` ```text numbers=vary ````. */
export interface Block {
  readonly language: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  /** Line of its first line in the document, from 1. */
  readonly line: number;
}

export const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

export function blocksOf(path: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; attributes: Record<string, string>; lines: string[]; line: number } | null = null;
  for (const [at, line] of read(path).split("\n").entries()) {
    const fence = /^ *```(.*)$/.exec(line)?.[1];
    if (open === null && fence !== undefined) {
      const [language = "", ...words] = fence.trim().split(/\s+/);
      const attributes = Object.fromEntries(words.map((word) => word.split("=", 2) as [string, string]));
      open = { language, attributes, lines: [], line: at + 2 };
    } else if (open !== null && fence !== undefined) {
      blocks.push({ ...open, text: open.lines.map((each) => `${each}\n`).join("") });
      open = null;
    } else open?.lines.push(line);
  }
  return blocks;
}

/** Whether the block's commands are run where the document is: those of a shell, and the steps of a workflow. */
export const isRun = ({ language, attributes }: Block): boolean =>
  (language === "sh" || language === "yaml") && attributes["run-by"] === undefined && attributes.file === undefined;

export const needsOf = ({ attributes }: Block): readonly string[] =>
  attributes.needs === undefined ? [] : attributes.needs.split(",");

/**
 * What a text block shows, for the output of the commands before it. `…` stands for anything within a line; with
 * `numbers=vary` the digits shown stand for any, and blanks for as many as it takes.
 */
export function patternOf({ text, attributes }: Block): RegExp {
  const literal = text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&").replaceAll("…", ".*");
  const vary = attributes.numbers === "vary";
  return new RegExp(`^${vary ? literal.replaceAll(/\d+/g, "\\d+").replaceAll(/ +/g, " +") : literal}`, "m");
}

/** Text blocks with the block of commands that printed them, where that is in the same document. */
export function shownOf(path: string): { readonly shown: Block; readonly by: Block | null }[] {
  const pairs: { shown: Block; by: Block | null }[] = [];
  let by: Block | null = null;
  for (const block of blocksOf(path)) {
    if (isRun(block)) by = block;
    else if (block.language === "text" && block.attributes["printed-by"] === undefined)
      pairs.push({ shown: block, by });
  }
  return pairs;
}
