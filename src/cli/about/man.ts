/** The manual pages in man(7), rendered from the command tree like help. */
import {
  argumentUsage,
  defineCommand,
  type Field,
  isGroup,
  isNoun,
  metavarOf,
  type Node,
  optional,
  required,
  shownBelow,
  wordsOf,
  usageError,
} from "../command.ts";
import { globalsBeside } from "../globals.ts";
import { ABOUT, examplesOf, type ShownExample } from "../render/explained.ts";
import { type Subject, unsaidChoices, usageWords, wrapped } from "../render/help.ts";

/** The longest input line that is good style. */
const COLUMNS_MAX = 78;

interface Page extends Subject {
  readonly examples: readonly ShownExample[];
}

/** `bpfman-link-attach-xdp`, which plus `.1` is also the file name. */
const pageName = (nodes: readonly Node[]): string => nodes.map((node) => node.name).join("-");

/** Escapes text for troff: backslashes, dashes of options, and requests at the start of a line. */
function literal(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("~", "\\(ti").replaceAll("^", "\\(ha");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

const quoted = (text: string): string => `"${literal(text).replaceAll('"', "\\(dq")}"`;

/** Fills running text to the line width. Lines that look like a request are protected. */
const filled = (text: string): string[] =>
  wrapped(text, COLUMNS_MAX).map((line) => (/^[.']/.test(line) ? `\\&${line}` : line));

const bold = (text: string): string => `\\fB${literal(text)}\\fR`;
const italic = (text: string): string => `\\fI${literal(text)}\\fR`;
const STYLE = { name: bold, value: italic, metavar: italic };

/** Renders running text. Paragraphs are filled; list items, examples and formats get their own line. */
function paragraphs(doc: readonly string[]): string[] {
  const lines: string[] = [];
  let fresh = true;
  for (const line of doc) {
    if (line === "") {
      lines.push(".sp");
      fresh = true;
      continue;
    }
    const own = /^(Example|Format|\[|\s)/.test(line);
    if (own && !fresh) lines.push(".br");
    lines.push(...filled(literal(line.trim())));
    fresh = false;
  }
  return lines.at(-1) === ".sp" ? lines.slice(0, -1) : lines;
}

const argumentItem = (arg: Field): string[] => [".TP", italic(argumentUsage(arg)), ...paragraphs(arg.doc)];

function flagItem(flag: Field): string[] {
  const value = flag.takes === "nothing" ? "" : ` ${italic(metavarOf(flag))}${flag.takes === "list" ? "..." : ""}`;
  const names = [...(flag.short === undefined ? [] : [`-${flag.short}`]), `--${flag.long}`].map(bold).join(", ");
  const notes = [
    ...unsaidChoices(flag),
    ...(flag.default === undefined ? [] : [`Default: ${flag.default}.`]),
    ...(flag.env === undefined ? [] : [`Environment: ${flag.env}.`]),
  ];
  return [
    ".TP",
    `${names}${value}`,
    ...paragraphs(flag.doc),
    ...notes.flatMap((note) => [".br", ...filled(literal(note))]),
  ];
}

const exampleItem = ({ does, lines }: ShownExample): string[] => [
  ".PP",
  ...filled(literal(`${does}:`)),
  ".RS 4",
  ".nf",
  // One line of output, continued in the input with backslashes.
  ...lines.map((line) => filled(bold(line)).join(" \\\n")),
  ".fi",
  ".RE",
];

const NOUN_EXITS = { 0: "success", 1: "failure", 130: "interrupted" };
const CLASSIC_EXITS = {
  ...NOUN_EXITS,
  2: "the command line is not valid",
  3: "something named does not exist",
  4: "permission denied",
  5: "conflict with the current state, or the system lacks something",
};

const FILES = {
  "/run/bpfman/fs": "Pins of programs, maps and links.",
  "/run/bpfman/programs": "Copies of loaded object files.",
  "/var/lib/bpfman/bpfman.db": "What is loaded and attached, and the history of operations.",
  "/var/cache/bpfman": "Pulled images.",
  "/etc/bpfman/bpfman.toml": "Configuration file, if it exists.",
};

/** Commands that do the same in the two grammars. Subcommands have the same names in both. */
const TWINS = {
  load: "program-load",
  unload: "program-unload",
  attach: "link-attach",
  detach: "link-detach",
  "list-programs": "program-list",
  "list-links": "link-list",
  "get-program": "program-get",
  "get-link": "link-get",
};

function twinOf(name: string): string | null {
  for (const pair of Object.entries(TWINS).map((names) => names.map((each) => `bpfman-${each}`))) {
    const from = pair.findIndex((each) => `${name}-`.startsWith(`${each}-`));
    if (from >= 0) return pair[1 - from] + name.slice(pair[from]?.length);
  }
  return null;
}

const ELSEWHERE = { bpf: 2, bpftool: 8, "tc-bpf": 8 };

function seeAlso({ nodes }: Page): string[] {
  const name = pageName(nodes);
  const twin = twinOf(name);
  const above = nodes.slice(0, -1).map((_, at) => pageName(nodes.slice(0, at + 1)));
  const below = shownBelow(nodes.at(-1) as Node).map((child) => pageName([...nodes, child]));
  const own = [...above, ...(twin === null ? [] : [twin]), ...below].map((each) => `${bold(each)}(1)`);
  if (nodes.length > 1) return [own.join(",\n")];
  const hidden = ["bpfman-completions", "bpfman-man"].map((each) => `${bold(each)}(1)`);
  const other = Object.entries(ELSEWHERE).map(([each, number]) => `${bold(each)}(${number})`);
  return [[...own, ...hidden, ...other].join(",\n")];
}

/** Lists each environment variable read for an option of the page, or of every page. */
const environment = (flags: readonly Field[]): string[] =>
  flags.flatMap((flag) =>
    flag.env === undefined ? [] : [".TP", bold(flag.env), `Used if ${bold(`--${flag.long}`)} is not given.`],
  );

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`.SH ${title}`, ...lines];

/** Printed in the footer of each page. */
interface Edition {
  readonly version: string;
  /** YYYY-MM-DD */
  readonly date: string;
}

function manPage(page: Page, { version, date }: Edition): string {
  const { nodes, command, examples } = page;
  const last = nodes.at(-1) as Node;
  const isRoot = nodes.length === 1;
  const args = wordsOf(nodes, command);
  const own = command?.flags ?? [];
  const exits = isNoun(nodes) ? NOUN_EXITS : CLASSIC_EXITS;
  const globals = globalsBeside(own, isRoot);
  const lines = [
    `.TH ${quoted(pageName(nodes).toUpperCase())} 1 "${date}" ${quoted(`bpfman ${version}`)} "bpfman"`,
    ".ad l",
    // Do not hyphenate names of commands and options.
    ".nh",
    ...section("NAME", filled(`${literal(pageName(nodes))} \\- ${literal(last.summary.replace(/\.$/, ""))}`)),
    ...section("SYNOPSIS", filled(usageWords(page, STYLE).join(" "))),
    ...section("DESCRIPTION", paragraphs(isRoot ? ABOUT : (command?.description ?? [last.summary]))),
    ...section("ARGUMENTS", args.flatMap(argumentItem)),
    ...section(
      "COMMANDS",
      shownBelow(last).flatMap((child) => [".TP", bold(child.name), ...filled(literal(child.summary))]),
    ),
    ...section("OPTIONS", own.flatMap(flagItem)),
    ...section("GLOBAL OPTIONS", globals.flatMap(flagItem)),
    ...section(
      "EXIT STATUS",
      Object.entries(exits).flatMap(([code, meaning]) => [".TP", bold(code), literal(meaning)]),
    ),
    ...section("ENVIRONMENT", environment([...own, ...globals])),
    ...section(
      "FILES",
      Object.entries(FILES).flatMap(([path, what]) => [".TP", italic(path), literal(what)]),
    ),
    ...section("EXAMPLES", examples.flatMap(exampleItem).slice(1)),
    ...section("SEE ALSO", seeAlso(page)),
  ];
  return `${lines.join("\n")}\n`;
}

interface File {
  readonly name: string;
  readonly text: string;
}

/** Returns the pages of a node and all its descendants. Hidden commands, which only shells call, have none. */
async function pagesOf(nodes: readonly Node[], edition: Edition): Promise<File[]> {
  const last = nodes.at(-1) as Node;
  if (last.name.startsWith("__")) return [];
  const command = isGroup(last) ? null : await last.load();
  const page = { nodes, command, examples: await examplesOf(last, command) };
  const files = [{ name: `${pageName(nodes)}.1`, text: manPage(page, edition) }];
  for (const child of isGroup(last) ? last.children : []) files.push(...(await pagesOf([...nodes, child], edition)));
  return files;
}

export const man = defineCommand(() => ({
  description: ["Writes a manual page for every command."],
  fields: {
    dir: required({ long: "dir", doc: ["Directory to write the pages to."], completes: "directory" }),
    date: optional(
      {
        long: "date",
        metavar: "YYYY-MM-DD",
        default: "today",
        doc: ["Date in the footers; set it to make the output reproducible."],
      },
      (date) => {
        if (/^\d{4}-\d\d-\d\d$/.test(date)) return date;
        throw usageError(`invalid date "${date}": must be YYYY-MM-DD`);
      },
    ),
  },
  classic: {
    words: ["dir"],
    examples: { "Install the pages for every user": "bpfman man /usr/local/share/man/man1" },
  },
  prepare:
    ({ dir, date }) =>
    async (session) => {
      const { version } = await session.invoke("version", { features: false });
      const edition = { version, date: date ?? new Date().toISOString().slice(0, 10) };
      session.save(dir, await pagesOf([session.tree], edition));
    },
}));
