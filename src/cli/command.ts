/**
 * How commands are defined. A command is defined once, by its fields and by what it does with their values. Each
 * grammar specifies which fields are words in it, and its own examples. Parsing, help, completion, manual pages and
 * docs/cli.md are all derived from these definitions.
 */
import type { ChangeAnswers } from "../domain/change-answer.ts";
import type { LiveValue } from "../domain/completion.ts";
import type { DaemonOptions, Settings } from "../domain/settings.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Invoke } from "../service/invoke.ts";
import type { Answers, OperationName } from "../service/operations.ts";
import type { Look } from "./render/table.ts";

/**
 * How a field is completed: with live values, or by the shell. `object` and `target` are files that the completion of
 * other fields reads; `platform-file` is a file, possibly after `linux/ARCH=`.
 */
export type Completion = LiveValue | "command" | "directory" | "file" | "object" | "platform-file" | "target";

/**
 * `nothing`: a switch. `one`: a single value, given once. `list`: values up to the next option, repeatable; as a word,
 * all remaining words. `commas`: a comma-separated list, repeatable. `each`: a single value, repeatable.
 */
export type Takes = "nothing" | "one" | "list" | "commas" | "each";

/** A value of a command, given as an option or as a word. Defined once for all commands that have it. */
export interface Field<Value = unknown> {
  /** In lower case with dashes: an option's long name without the leading dashes. Words are shown in capitals. */
  readonly long: string;
  /** One letter, without the dash. */
  readonly short?: string | undefined;
  /** Other long names with the same meaning, which other bpfman versions use. Help omits them. */
  readonly aliases?: readonly string[];
  readonly required?: boolean;
  /** Name of the value in help. Defaults to the long name in capitals. */
  readonly metavar?: string;
  /** The full help text by line. Its first sentence is the short help. */
  readonly doc: readonly string[];
  /** All accepted words, if they can be listed; with `completes`, additional ones. */
  readonly choices?: readonly string[];
  /** The noun-verb grammar ignores the letter case of choices and spaces around them. */
  readonly anyCase?: true;
  readonly completes?: Completion;
  /** Environment variable that is read if the option is not given. */
  readonly env?: string;
  readonly default?: string;
  /** The only grammar that has the field. A word of the noun-verb grammar selects that grammar. */
  readonly grammar?: "classic" | "noun";
  readonly takes: Takes;
  /** Parses each value. `where` names its source if that is not the command line: ` in BPFMAN_LOG`. */
  parse(text: string, where: string): unknown;
  /** Combines the parsed values into the value the command gets. */
  gather(items: readonly unknown[]): Value;
  /** How the field differs in the noun-verb grammar. */
  readonly noun?: Partial<Field<Value>>;
  /** The field this one is derived from. */
  readonly of?: Field;
}

type Parse<Item> = (text: string, where: string) => Item;
type Given<Value> = Omit<Field<Value>, "takes" | "parse" | "gather" | "of">;
const asWritten = (text: string): string => text;

export const toggle = (facts: Given<boolean>): Field<boolean> => ({
  ...facts,
  takes: "nothing",
  parse: () => true,
  gather: (items) => items.length > 0,
});

export function required(facts: Given<string>): Field<string>;
export function required<Item>(facts: Given<Item>, parse: Parse<Item>): Field<Item>;
export function required(facts: Given<unknown>, parse: Parse<unknown> = asWritten): Field {
  return { ...facts, required: true, takes: "one", parse, gather: ([item]) => item };
}

/** An optional value, `absent` by default. */
export function optional(facts: Given<string | null>): Field<string | null>;
export function optional<Item>(facts: Given<Item | null>, parse: Parse<Item | null>): Field<Item | null>;
export function optional<Item>(facts: Given<Item>, parse: Parse<Item>, absent: Item): Field<Item>;
export function optional(facts: Given<unknown>, parse: Parse<unknown> = asWritten, absent: unknown = null): Field {
  return { ...facts, takes: "one", parse, gather: ([item = absent]) => item };
}

type Several<Value> = Given<Value> & { readonly takes: Takes };

export function several(facts: Several<readonly string[]>): Field<readonly string[]>;
export function several<Item>(facts: Several<readonly Item[]>, parse: Parse<Item>): Field<readonly Item[]>;
export function several<Item, Value>(
  facts: Several<Value>,
  parse: Parse<Item>,
  gather: (items: readonly Item[]) => Value,
): Field<Value>;
export function several(
  facts: Several<unknown>,
  parse: Parse<unknown> = asWritten,
  gather: (items: readonly never[]) => unknown = (items) => items,
): Field {
  return { ...facts, parse, gather: gather as Field["gather"] };
}

/** Derives a field for one command: `changes` override the original's properties. */
export const vary = <Value>(field: Field<Value>, changes: Partial<Field<Value>>): Field<Value> => ({
  ...field,
  ...changes,
  of: field.of ?? field,
});

/** Derives an optional field from a required one. */
export const ifGiven = <Value>(field: Field<Value>, changes: Partial<Field<Value | null>>): Field<Value | null> =>
  vary<Value | null>(
    { ...field, required: false, gather: ([item = null]) => item as Value | null, of: field.of ?? field },
    changes,
  );

/** Derives a field that takes all remaining words. */
export const each = <Value>(field: Field<Value>, changes: Partial<Field>): Field<readonly Value[]> =>
  ({ ...field, takes: "list", gather: (items) => items, ...changes, of: field.of ?? field }) as Field<readonly Value[]>;

export type Fields = Readonly<Record<string, Field>>;
export type Values<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer Value> ? Value : never;
};

export type Examples = Readonly<Record<string, string>>;

/** Command lines of the two grammars by what they do; null for none. */
export type TwinExamples = Readonly<Record<string, readonly [classic: string | null, noun: string | null]>>;

export interface Example {
  readonly does: string;
  readonly line: string;
}

export const examplesIn = (examples: Examples): Example[] =>
  Object.entries(examples).map(([does, line]) => ({ does, line }));

/** How a grammar presents a command. */
interface Projection<Name> {
  /** Fields that are words in this grammar. */
  readonly words?: readonly Name[];
  /** Fields that are words of the group, like the ID in `attach ID xdp`. */
  readonly above?: readonly Name[];
  /** The options in the order of help. Defaults to all other fields. */
  readonly options?: readonly Name[];
  readonly examples?: Examples;
}

interface Definition<F extends Fields> {
  readonly fields: F;
  /** Long description. Defaults to the leaf's summary. */
  readonly description?: readonly string[];
  /** The default output format, if it is not text. */
  readonly output?: "json";
  /** Examples that precede those of one grammar. */
  readonly examples?: TwinExamples;
  readonly classic?: Projection<keyof F & string>;
  readonly noun?: Projection<keyof F & string>;
  /**
   * Converts the values to an action. Free of effects: any error is a mistake on the command line. Fields that the
   * grammar does not have are absent.
   */
  prepare(values: Values<F>, noun: boolean): Action;
}

/** A command as one grammar presents it. */
export interface Command {
  readonly description?: readonly string[] | undefined;
  readonly fields: Fields;
  readonly args: readonly Field[];
  readonly flags: readonly Field[];
  readonly examples: readonly Example[];
  readonly output: "json" | undefined;
  prepare(values: Values<Fields>): Action;
}

/** Takes a function, because a line runs one of a file's commands, and making the others would cost as much. */
export function defineCommand<F extends Fields>(define: () => Definition<F>) {
  let made: Definition<F> | null = null;
  const projected = (grammar: "classic" | "noun"): Command => {
    made ??= define();
    return project(made, grammar);
  };
  return {
    get classic() {
      return projected("classic");
    },
    get noun() {
      return projected("noun");
    },
  };
}

function project<F extends Fields>(definition: Definition<F>, grammar: "classic" | "noun"): Command {
  const { words = [], above = [], options, examples } = definition[grammar] ?? {};
  const isNoun = grammar === "noun";
  const fields: Record<string, Field> = {};
  for (const [name, field] of Object.entries<Field>(definition.fields)) {
    if (isNoun && field.grammar === "classic") continue;
    fields[name] = isNoun && field.noun !== undefined ? vary(field, field.noun) : field;
  }
  const others = Object.keys(fields).filter((name) => ![...words, ...above].includes(name));
  const twins: Example[] = [];
  for (const [does, lines] of Object.entries(definition.examples ?? {})) {
    const line = lines[isNoun ? 1 : 0];
    if (line !== null) twins.push({ does, line });
  }
  return {
    description: definition.description,
    output: definition.output,
    examples: [...twins, ...examplesIn(examples ?? {})],
    fields,
    args: words.map((name) => fields[name] as Field),
    flags: (options ?? others).map((name) => fields[name] as Field),
    prepare: (values) => definition.prepare(values as Values<F>, isNoun),
  };
}

/** Performs one operation and prints its answer, as most commands do; or only the IDs that `ids` returns, one per line. */
export const asking =
  <Name extends OperationName>(
    name: Name,
    request: unknown,
    text: (answer: Answers[Name], look: Look) => string,
    ids: ((answer: Answers[Name]) => readonly number[]) | null = null,
  ): Action =>
  async (session) => {
    const answer = await session.invoke(name, request);
    if (ids === null) session.print(answer, text);
    else session.print(ids(answer), linesOf);
  };

/** IDs as `--quiet` prints them, unless JSON is wanted: then they are a list. */
export const linesOf = (ids: readonly number[]): string => ids.map((id) => `${id}\n`).join("");

interface Named {
  readonly name: string;
  /** One line, shown in the list of commands. */
  readonly summary: string;
  /** It belongs to the noun-verb grammar, which has its own error format and a single exit code for errors. */
  readonly grammar?: "noun";
}

export interface Leaf extends Named {
  readonly hidden?: true;
  /** Other names that work but are not shown. */
  readonly aliases?: readonly string[];
  /** Loads the command, which is needed to run or describe it. */
  readonly load: () => Promise<Command>;
}

export interface Group extends Named {
  /** Words between the group's name and the command's, as in `attach ID xdp`. */
  readonly args?: readonly Field[];
  /** For shell completion: which of its commands fit the object those words name. */
  readonly completes?: LiveValue;
  readonly children: readonly Node[];
  readonly examples?: Examples;
  /** The default command. */
  readonly otherwise?: {
    readonly child: string;
    /** An unknown word also selects the default command and is its first word. */
    readonly takesWord?: true;
  };
  /** The command that `--version` runs, which only the root has. */
  readonly version?: Leaf;
}

export type Node = Leaf | Group;

export const isGroup = (node: Node): node is Group => "children" in node;

/** Reports whether a path through the tree leads into the noun-verb grammar. */
export const isNoun = (path: readonly Node[]): boolean => path.some((node) => node.grammar === "noun");

/** Returns the child of a group with that name or alias. */
export function childOf(group: Group, name: string): Node | null {
  const isNamed = (node: Node): boolean =>
    node.name === name || (!isGroup(node) && node.aliases?.includes(name) === true);
  return group.children.find(isNamed) ?? null;
}

export const otherwiseOf = (group: Group): Node | null =>
  group.otherwise === undefined ? null : childOf(group, group.otherwise.child);

/** Returns the commands of a node that help lists. */
export const shownBelow = (node: Node): readonly Node[] =>
  isGroup(node) ? node.children.filter((child) => isGroup(child) || child.hidden !== true) : [];

/** Returns the words that a path through the tree takes, starting with those of its groups. */
export function wordsOf(nodes: readonly Node[], command: Command | null): readonly Field[] {
  const words: Field[] = [];
  for (const node of nodes) if (isGroup(node) && node.args !== undefined) words.push(...node.args);
  return command === null ? words : [...words, ...command.args];
}

/** An error in the command line. */
export const usageError = (message: string, hint: string | null = null): BpfmanError =>
  new BpfmanError("USAGE", message, { hint });

/** `bpfman attach tcx` */
export const pathOf = (nodes: readonly Node[]): string => nodes.map((node) => node.name).join(" ");

export interface ServeOptions {
  /** The session ends when this process exits; null for none. */
  readonly clientProcessId: number | null;
}

export interface ServeLanguageOptions extends ServeOptions {
  /** What starts the process with privileges, word by word; null for this executable itself. */
  readonly helper: readonly string[] | null;
}

export interface WatchOptions {
  /** Begins after the change of that number; null begins now. */
  readonly since: number | null;
  readonly count: number | null;
  readonly forMs: number | null;
}

/** A change, or how many were missed, as clients of JSON-RPC get them. */
export type WatchedChange =
  | { [Kind in keyof ChangeAnswers]: { readonly kind: Kind } & ChangeAnswers[Kind] }[keyof ChangeAnswers]
  | { readonly kind: "events/didDrop"; readonly count: number; readonly sequence: number };

export type Action = (session: Session) => Promise<void>;

/** The whole terminal, until it is closed. */
export interface Screen {
  size(): { readonly columns: number; readonly rows: number };
  /** Shows these lines, each cut at the edge, and nothing else. */
  draw(lines: readonly string[]): void;
  /** Makes the terminal what it was. Idempotent. */
  close(): void;
}

export interface ScreenEvents {
  /** Keys were typed. Control characters arrive as such. */
  typed(keys: string): void;
  /** There will be no more keys, or nothing can be shown any more. */
  ended(): void;
  resized(): void;
}

/** What an action can use. */
export interface Session {
  /** The output format. A table needs less data than JSON. */
  readonly output: "text" | "json";
  readonly tree: Group;
  /** Connects on first use. */
  readonly invoke: Invoke;
  /** Changes where `invoke` connects to. Call it before the first use. */
  moveTo(places: Partial<Settings>): void;
  /** Writes an answer to stdout, as JSON or as the text that `text` returns. */
  print<Answer>(answer: Answer, text: (answer: Answer, look: Look) => string): void;
  /** Performs an operation that finds many results, and prints each as it is found: a list as JSON, a line for each as text. */
  stream(name: OperationName, request: unknown): Promise<void>;
  /**
   * Performs an operation that finds text, and prints it as it is found: as JSON, as one string; on a terminal, with what
   * could affect it escaped.
   */
  streamText(name: OperationName, request: unknown): Promise<void>;
  /**
   * Performs an operation that goes on until it is ended, and prints each result as it comes, on a line: JSON, or what `text`
   * makes of it. A signal ends it with exit code 130, and the answer is null.
   */
  follow<Name extends OperationName>(
    name: Name,
    request: unknown,
    text?: (result: never) => string,
  ): Promise<Answers[Name] | null>;
  /** Prints changes on this host as they happen, on a line each, until as many were printed, the time is over, or a signal comes. */
  watch(how: WatchOptions, text: (change: WatchedChange) => string): Promise<void>;
  /** Writes text to stdout, whatever the output format. */
  write(text: string): void;
  /** Writes files into a directory, which is created if necessary, and prints their paths. Throws IO_FAILED. */
  save(directory: string, files: readonly { readonly name: string; readonly text: string }[]): void;
  /** Sets the exit code of a command whose answer says that something is wrong, unless it fails besides. */
  endWith(code: number): void;
  /** Reports a failure and continues. The first one determines the exit code. */
  fail(error: BpfmanError): void;
  /** Ends with that exit code, unless something failed. */
  exitWith(code: number): void;
  /** Reads all of stdin as text. Throws IO_FAILED, also for more than a document can have. */
  input(): Promise<string>;
  /** Reports a failure and continues, without an effect on the exit code. */
  warn(error: BpfmanError): void;
  /** Notices that interfaces come and go. */
  followInterfaces(what: WhatToFollow): Promise<FollowedInterfaces>;
  /** Whether the reader of stdout has closed its end. */
  isAbandoned(): boolean;
  /** Aborted when the user interrupts the command. */
  readonly signal: AbortSignal;
  /** Takes over the terminal; null if stdin or stdout is none. */
  openScreen(events: ScreenEvents): Screen | null;
  /** Serves JSON-RPC over stdin and stdout until the session ends, which determines the exit code. */
  serve(options: ServeOptions): Promise<void>;
  /** The same for the Language Server Protocol. */
  serveLanguage(options: ServeLanguageOptions): Promise<void>;
  /** The same for gRPC on Unix sockets, until the process is told to exit. */
  serveDaemon(options: DaemonOptions): Promise<void>;
  describeRpc(): Promise<void>;
  /** Writes the long help of a command, given by its words. Throws USAGE for an unknown one. */
  help(words: readonly string[]): Promise<void>;
}

/** Paths of namespaces, null for the own one; and whether namespaces that come and go matter as well. */
export interface WhatToFollow {
  readonly namespaces: readonly (string | null)[];
  readonly named: boolean;
}

export interface FollowedInterfaces {
  /** Blocks until something changes, at most that long. Returns whether something has. */
  wait(ms: number): boolean;
  close(): void;
}

export const metavarOf = (flag: Field): string => flag.metavar ?? flag.long.toUpperCase().replaceAll("-", "_");

/** Formats `<PATH>`, `<PROGRAM_ID>...`, `[COMMAND]...`. */
export function argumentUsage(arg: Field): string {
  const name = arg.long.toUpperCase().replaceAll("-", "_");
  return `${arg.required ? `<${name}>` : `[${name}]`}${arg.takes === "list" ? "..." : ""}`;
}

/** Formats `--path <PATH>`, `--programs <PROGRAMS>...`, `--all`. */
export function flagUsage(flag: Field): string {
  if (flag.takes === "nothing") return `--${flag.long}`;
  return `--${flag.long} <${metavarOf(flag)}>${flag.takes === "list" ? "..." : ""}`;
}
