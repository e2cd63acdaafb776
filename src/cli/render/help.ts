/** Renders help and usage from the command tree. Each text ends with a newline. */
import {
  argumentUsage,
  type Command,
  type Field,
  flagUsage,
  isGroup,
  metavarOf,
  type Node,
  pathOf,
  shownBelow,
  wordsOf,
} from "../command.ts";
import { globalsBeside } from "../globals.ts";

/** What is described: the nodes from the root down, and the command of the last one if it is a loaded leaf. */
export interface Subject {
  readonly nodes: readonly Node[];
  readonly command: Command | null;
}

export type Detail = "short" | "long";

/** How the names and values of a usage line look. */
interface Style {
  name(text: string): string;
  /** A value whose brackets are part of the text. */
  value(text: string): string;
  metavar(text: string): string;
}

const asIs = (text: string): string => text;
const PLAIN: Style = { name: asIs, value: asIs, metavar: (text) => `<${text}>` };

/** Each option is one element with its value. */
export function usageWords({ nodes, command }: Subject, { name, value, metavar }: Style): string[] {
  const last = nodes.at(-1);
  const valuesOf = (args: readonly Field[] = []): string[] => args.map((arg) => value(argumentUsage(arg)));
  const path = nodes.flatMap((node) => [
    name(node.name),
    ...(isGroup(node) && node !== last ? valuesOf(node.args) : []),
  ]);
  const words = [...path, `[${value("OPTIONS")}]`];
  if (last !== undefined && isGroup(last)) {
    words.push(...valuesOf(last.args), last.otherwise === undefined ? metavar("COMMAND") : `[${value("COMMAND")}]`);
  }
  for (const flag of command?.flags.filter((each) => each.required) ?? []) {
    words.push(`${name(`--${flag.long}`)} ${metavar(metavarOf(flag))}${flag.takes === "list" ? "..." : ""}`);
  }
  return [...words, ...valuesOf(command?.args)];
}

/** Line width without a terminal, and the largest and smallest width to wrap for. */
const COLUMNS = { usual: 80, most: 100, least: 50 } as const;

export const columnsFor = (terminal: number): number => Math.max(COLUMNS.least, Math.min(terminal, COLUMNS.most));

/** Returns `Usage: bpfman attach <PROGRAM_ID> tcx [OPTIONS] --iface <IFACE>`, wrapped for a terminal of that width; null for no terminal. */
export const usageFor = (subject: Subject, terminal: number | null): string =>
  broken(
    ["Usage:", ...usageWords(subject, PLAIN)],
    terminal === null ? Number.POSITIVE_INFINITY : columnsFor(terminal),
    " ".repeat("Usage: ".length),
  ).join("\n");

interface Layout {
  readonly detail: Detail;
  readonly columns: number;
}

/** Wraps words to lines of at most `columns`, indenting all but the first. A longer word stays whole. */
function broken(words: readonly string[], columns: number, indent = ""): string[] {
  const lines: string[] = [];
  let width = 0;
  for (const word of words) {
    const wide = Bun.stringWidth(word);
    if (lines.length > 0 && width + 1 + wide <= columns) {
      lines[lines.length - 1] += ` ${word}`;
      width += 1 + wide;
    } else {
      const before = lines.length === 0 ? "" : indent;
      lines.push(before + word);
      width = before.length + wide;
    }
  }
  return lines;
}

/** Wraps a text, which usually fits on one line. What is quoted, such as a command, stays together if it fits on one. */
export function wrapped(text: string, columns: number, indent = ""): string[] {
  if (text.length <= columns) return [text];
  const words = text.match(/"[^"]*"\S*|\S+/g) ?? [];
  const fits = (word: string): boolean => Bun.stringWidth(indent + word) <= columns;
  const parts = words.flatMap((word) => (fits(word) ? [word] : word.split(" ")));
  return broken(parts, columns, indent);
}

/** Lines of a text that begin something of their own; all others go on with what the line before them says. */
const BEGINS = /^(Format|Example|\[|\* |In a running )/;

/** Rewraps a text to fit the width. */
function filled(doc: readonly string[], columns: number): string[] {
  const blocks: string[] = [];
  for (const line of doc) {
    const last = blocks.at(-1);
    if (line === "" || last === undefined || last === "" || BEGINS.test(line)) blocks.push(line);
    else blocks[blocks.length - 1] = `${last} ${line.trim()}`;
  }
  return blocks.flatMap((block) => {
    const item = /^(\* |\[)/.exec(block)?.[0].length ?? 0;
    return wrapped(block, columns, " ".repeat(item));
  });
}

/** Wraps a command line that can be pasted, with backslashes at line ends. */
function brokenCommand(line: string, columns: number): string[] {
  const words = line.match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? [];
  // An option stays with its value.
  const parts: string[] = [];
  for (const word of words) {
    const last = parts.at(-1);
    if (last !== undefined && /^-[^ ]*$/.test(last) && !word.startsWith("-"))
      parts[parts.length - 1] = `${last} ${word}`;
    else parts.push(word);
  }
  return broken(parts, columns - 2, "  ").map((part, at, all) => (at < all.length - 1 ? `${part} \\` : part));
}

/** Returns the short help, or the long help with examples, for a terminal of that width; null for no terminal. */
export async function helpOf(subject: Subject, detail: Detail, terminal: number | null): Promise<string> {
  const { nodes, command } = subject;
  const last = nodes.at(-1) as Node;
  const isRoot = nodes.length === 1;
  const columns = columnsFor(terminal ?? COLUMNS.usual);
  const layout = { detail, columns };
  const explained = detail === "long" ? await import("./explained.ts") : null;
  const described = (explained === null ? undefined : command?.description) ?? [last.summary];
  const sections = [filled(described, columns).join("\n")];
  if (explained !== null && isRoot) sections.push(filled(explained.ABOUT, columns).join("\n"));
  sections.push(usageFor(subject, columns));

  const args = wordsOf(nodes, command);
  if (args.length > 0) sections.push(section("Arguments", args.map(argumentEntry), layout));

  if (isGroup(last)) {
    const entries = shownBelow(last).map((child) => ({ left: child.name, doc: [child.summary], notes: [] }));
    // Summaries are single lines, so both kinds of help show the same table.
    sections.push(section("Commands", entries, { detail: "short", columns }));
    if (last.otherwise !== undefined) sections.push(`Default command: ${last.otherwise.child}`);
  }

  const own = command?.flags ?? [];
  if (own.length > 0) sections.push(section("Options", own.map(flagEntry), layout));
  // Shown in full only at the root: elsewhere they would bury the command's own.
  const brief = isRoot ? detail : "short";
  sections.push(section("Global options", globalsBeside(own, isRoot).map(flagEntry), { detail: brief, columns }));

  if (explained === null) sections.push(`More: ${pathOf(nodes)} --help`);
  else {
    const shown = (await explained.examplesOf(last, command)).map(({ does, lines }) => {
      const what = wrapped(`${does}:`, columns - 2).map((line) => `  ${line}`);
      const how = lines.flatMap((line) => brokenCommand(line, columns - 4)).map((line) => `    ${line}`);
      return [...what, ...how].join("\n");
    });
    if (shown.length > 0) sections.push(`Examples:\n${shown.join("\n\n")}`);
  }
  return `${sections.join("\n\n")}\n`;
}

interface Entry {
  /** `-p, --path <PATH>` */
  readonly left: string;
  readonly doc: readonly string[];
  /** `[default: text]` */
  readonly notes: readonly string[];
}

const argumentEntry = (arg: Field): Entry => ({ left: argumentUsage(arg), doc: arg.doc, notes: [] });

function flagEntry(flag: Field): Entry {
  return {
    left: `${flag.short === undefined ? "   " : `-${flag.short},`} ${flagUsage(flag)}`,
    doc: flag.doc,
    notes: [
      ...(flag.required ? ["[required]"] : []),
      ...unsaidChoices(flag),
      ...(flag.default === undefined ? [] : [`[default: ${flag.default}]`]),
      ...(flag.env === undefined ? [] : [`[env: ${flag.env}]`]),
    ],
  };
}

/** Longer lists of choices are not helpful in a help text. */
const CHOICES_SAID_MAX = 20;

/** Returns the choices of an option, unless its help text names them or there are too many. */
export function unsaidChoices({ choices = [], doc }: Field): string[] {
  if (choices.length === 0 || choices.length > CHOICES_SAID_MAX) return [];
  const text = doc.join(" ");
  const said = new Set(text.split(/[^A-Za-z0-9_-]+/));
  if (text.includes("[possible values") || choices.every((word) => said.has(word))) return [];
  return [`[possible values: ${choices.join(", ")}]`];
}

/** The largest part of a line that an entry's name may take if its text is shown next to it. */
const BESIDE_MAX = 0.5;

/** Short: the first sentence next to each name. Long: the whole text below it. */
function section(title: string, entries: readonly Entry[], { detail, columns }: Layout): string {
  if (detail === "short") {
    const most = Math.floor(columns * BESIDE_MAX);
    const width = Math.max(...entries.map(({ left }) => (left.length > most ? 0 : left.length)));
    const indent = " ".repeat(width + 4);
    const lines = entries.flatMap(({ left, doc }) => {
      const text = wrapped(firstSentence(doc), columns - indent.length).map((line) => indent + line);
      if (left.length > width) return [`  ${left}`, ...text];
      return [`  ${left.padEnd(width)}  ${text[0]?.slice(indent.length) ?? ""}`.trimEnd(), ...text.slice(1)];
    });
    return `${title}:\n${lines.join("\n")}`;
  }
  const indent = " ".repeat(10);
  const blocks = entries.map(({ left, doc, notes }) => {
    const body = filled([...doc, ...(notes.length === 0 ? [] : ["", ...notes])], columns - indent.length);
    return [`  ${left}`, ...body.map((line) => (line === "" ? "" : indent + line))].join("\n");
  });
  return `${title}:\n${blocks.join("\n\n")}`;
}

/** Returns the first sentence of a help text in one line, without formats, examples and lists of values. */
export function firstSentence(doc: readonly string[]): string {
  const end = doc.findIndex((line) => line === "" || /^(Format|Example|\[)/.test(line));
  const paragraph = doc.slice(0, end < 0 ? doc.length : end).join(" ");
  return /^.*?\.(?=\s+[A-Z])/.exec(paragraph)?.[0] ?? paragraph;
}
