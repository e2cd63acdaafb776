/** The reference part of docs/cli.md, from the command table. */
import {
  argumentUsage,
  type Command,
  type Field,
  flagUsage,
  isGroup,
  type Node,
  pathOf,
  wordsOf,
} from "../src/cli/command.ts";
import { ROOT } from "../src/cli/commands.ts";
import { globalsBeside } from "../src/cli/globals.ts";
import { usageFor } from "../src/cli/render/help.ts";

const BEGIN = "<!-- From here on generated from the command table by `bun run docs`; do not edit. -->";

/** Text for a table cell: one line in the source, with a break before each paragraph, and Markdown syntax escaped. */
const cell = (doc: readonly string[]): string =>
  doc
    .map((line) => (/^(Example|Format|\[|$)/.test(line) ? `<br>${escapedText(line)}` : escapedText(line)))
    .join(" ")
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\s*(<br>\s*)+/g, "<br>")
    .trim();

const escapedText = (line: string): string => line.replaceAll("|", "\\|").replaceAll("<", "\\<").replaceAll("[", "\\[");

function flagRow(flag: Field): string {
  const names = `${flag.short === undefined ? "" : `-${flag.short}, `}${flagUsage(flag)}`;
  const notes = [
    ...(flag.default === undefined ? [] : [`Default: ${flag.default}.`]),
    ...(flag.env === undefined ? [] : [`Environment: ${flag.env}.`]),
  ];
  return `| \`${names.replaceAll("|", "\\|")}\` | ${cell([...flag.doc, ...notes])} |`;
}

const argumentRow = (arg: Field): string => `| \`${argumentUsage(arg)}\` | ${cell(arg.doc)} |`;

const table = (rows: readonly string[]): string[] => (rows.length === 0 ? [] : ["| | |", "|---|---|", ...rows, ""]);

interface Entry {
  readonly nodes: readonly Node[];
  readonly command: Command;
}

async function* entries(nodes: readonly Node[]): AsyncGenerator<Entry> {
  const last = nodes.at(-1) as Node;
  if (isGroup(last)) for (const child of last.children) yield* entries([...nodes, child]);
  // Commands hidden from help are listed here, for packagers.
  else if (!last.name.startsWith("__")) yield { nodes, command: await last.load() };
}

function section({ nodes, command }: Entry): string[] {
  const last = nodes.at(-1) as Node;
  return [
    `### ${pathOf(nodes)}`,
    "",
    ...(command.description ?? [last.summary]),
    "",
    "```text",
    usageFor({ nodes, command }, null).replace("Usage: ", ""),
    "```",
    "",
    ...table([...wordsOf(nodes, command).map(argumentRow), ...command.flags.map(flagRow)]),
    ...command.examples.flatMap(({ does, line }) => [`- ${does}: \`${line}\``]),
    "",
  ];
}

/** Returns docs/cli.md with the part written by hand unchanged, followed by the generated part. */
export async function cliPage(current: string): Promise<string> {
  const [written = ""] = current.split(BEGIN);
  const lines = [BEGIN, "", "## Reference", "", "### Global options", "", ...table(globalsBeside([]).map(flagRow))];
  for await (const entry of entries([ROOT])) lines.push(...section(entry));
  return `${written.trimEnd()}\n\n${lines.join("\n").trimEnd()}\n`;
}
