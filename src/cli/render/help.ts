/** Help and usage, made from the command table. Each text ends with a newline. */
import {
  argumentUsage,
  type Command,
  type Example,
  type Field,
  flagUsage,
  isGroup,
  type Node,
  pathOf,
  shownBelow,
  wordsOf,
} from "../command.ts";
import { globalsBeside, VERSION } from "../globals.ts";

/** What is described: the nodes from the root down, and the command of the last one when it is a leaf that is there. */
interface Subject {
  readonly nodes: readonly Node[];
  readonly command: Command | null;
}

export type Detail = "short" | "long";

/** `bpfman attach <PROGRAM_ID> tcx [OPTIONS] --direction <DIRECTION> --iface <IFACE> --priority <PRIORITY>` */
export function usageOf({ nodes, command }: Subject): string {
  const last = nodes.at(-1);
  const words = nodes.flatMap((node) => {
    const args = isGroup(node) && node !== last ? (node.args ?? []) : [];
    return [node.name, ...args.map(argumentUsage)];
  });
  words.push("[OPTIONS]");
  if (last !== undefined && isGroup(last)) {
    words.push(...(last.args ?? []).map(argumentUsage), last.otherwise === undefined ? "<COMMAND>" : "[COMMAND]");
  }
  words.push(...(command?.flags.filter((flag) => flag.required) ?? []).map(flagUsage));
  words.push(...(command?.args ?? []).map(argumentUsage));
  return words.join(" ");
}

/** The short help, or the long one with examples. */
export async function helpOf(subject: Subject, detail: Detail): Promise<string> {
  const last = subject.nodes.at(-1);
  if (detail === "short" || last === undefined)
    return renderHelp(subject, { detail: "short", about: [], examples: [] });
  const { ABOUT, examplesOf } = await import("./explained.ts");
  const examples = await examplesOf(last, subject.command);
  return renderHelp(subject, { detail, about: subject.nodes.length === 1 ? ABOUT : [], examples });
}

interface Told {
  readonly detail: Detail;
  /** Behind the summary. */
  readonly about: readonly string[];
  readonly examples: readonly Example[];
}

function renderHelp(subject: Subject, { detail, about, examples }: Told): string {
  const { nodes, command } = subject;
  const last = nodes.at(-1);
  const summary = last?.summary ?? "";
  const sections = [
    (detail === "long" ? command?.description?.join("\n") : undefined) ?? summary,
    ...(about.length === 0 ? [] : [about.join("\n")]),
    `Usage: ${usageOf(subject)}`,
  ];

  const args = wordsOf(nodes, command);
  if (args.length > 0) sections.push(section("Arguments", args.map(argumentEntry), detail));

  if (last !== undefined && isGroup(last)) {
    const entries = shownBelow(last).map((child) => ({ left: child.name, doc: [child.summary], notes: [] }));
    // Summaries are one line: the same table in both.
    sections.push(section("Commands", entries, "short"));
    if (last.otherwise !== undefined) sections.push(`Default command: ${last.otherwise.child}`);
  }

  const own = command?.flags ?? [];
  if (own.length > 0) sections.push(section("Options", own.map(flagEntry), detail));
  const globals = [...globalsBeside(own), ...(nodes.length === 1 ? [VERSION] : [])];
  // In full at the root only: below it they would bury the command's own.
  sections.push(section("Global options", globals.map(flagEntry), nodes.length === 1 ? detail : "short"));

  if (examples.length > 0) {
    sections.push(`Examples:\n${examples.map(({ does, line }) => `  ${does}:\n    ${line}`).join("\n\n")}`);
  }
  if (detail === "short") sections.push(`More: ${pathOf(nodes)} --help`);
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

const COLUMNS_MAX = 78;

/** More words than these say nothing in a help text. */
const CHOICES_SAID_MAX = 20;

/** The words that an option takes, in lines, unless its text says them or there are too many. */
export function unsaidChoices({ choices = [], doc }: Field): string[] {
  const text = doc.join(" ");
  const said = new Set(text.split(/[^A-Za-z0-9_-]+/));
  if (choices.length > CHOICES_SAID_MAX || text.includes("[possible values")) return [];
  if (choices.every((word) => said.has(word))) return [];
  const lines: string[] = [];
  for (const word of `[possible values: ${choices.join(", ")}]`.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > COLUMNS_MAX) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** Short: one line for an entry. Long: the whole text below it. */
function section(title: string, entries: readonly Entry[], detail: Detail): string {
  if (detail === "short") {
    const width = Math.max(...entries.map((entry) => entry.left.length));
    const lines = entries.map((entry) => `  ${entry.left.padEnd(width)}  ${firstSentence(entry.doc)}`);
    return `${title}:\n${lines.join("\n")}`;
  }
  const blocks = entries.map((entry) => {
    const notes = entry.notes.length === 0 ? [] : ["", ...entry.notes];
    const body = [...entry.doc, ...notes].map((line) => (line === "" ? "" : `          ${line}`));
    return `  ${entry.left}\n${body.join("\n")}`;
  });
  return `${title}:\n${blocks.join("\n\n")}`;
}

/** The first sentence of a help text, in one line. Formats, examples and lists of values are no part of it. */
export function firstSentence(doc: readonly string[]): string {
  const end = doc.findIndex((line) => line === "" || /^(Format|Example|\[)/.test(line));
  const paragraph = doc.slice(0, end < 0 ? doc.length : end).join(" ");
  return /^.*?\.(?=\s+[A-Z])/.exec(paragraph)?.[0] ?? paragraph;
}
