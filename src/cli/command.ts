/**
 * What commands are defined with. A command is defined once, by its fields and by what it does with their values; each of
 * the two grammars says which fields are words there and shows it with examples of its own. Parsing, help, completion,
 * manual pages and docs/cli.md read these shapes and nothing else.
 */
import type { LiveValue } from "../domain/completion.ts";
import type { Settings } from "../domain/settings.ts";
import type { BpfmanError } from "../errors/error.ts";
import type { Invoke } from "../service/invoke.ts";
import type { Answers, OperationName } from "../service/operations.ts";
import type { Look } from "./render/table.ts";

/**
 * What stands at a place, for shell completion: something live, or names that the shell knows best. `object` and `target`
 * are files, into which the completion of other places looks; `platform-file` is one, perhaps behind `linux/ARCH=`.
 */
export type Completion = LiveValue | "command" | "directory" | "file" | "object" | "platform-file" | "target";

/** What can be said of a field beside its value's type. */
export interface Facts {
  /** In lower case with dashes: an option's long name without its dashes. A word is shown in capitals. */
  readonly long: string;
  /** One letter, without the dash. */
  readonly short?: string | undefined;
  /** Other long names that mean the same, as another bpfman has them. Help names the long one alone. */
  readonly aliases?: readonly string[];
  readonly required?: boolean;
  /** Name of the value in help; the long name in capitals when absent. */
  readonly metavar?: string;
  /** The whole help text, line by line; its first sentence is the short help. */
  readonly doc: readonly string[];
  /** All words that are accepted, where they can be listed; with `completes`, those that are accepted besides. */
  readonly choices?: readonly string[];
  /** The noun-verb grammar takes the choices in any letter case, with spaces around them. */
  readonly anyCase?: true;
  readonly completes?: Completion;
  /** Environment variable that is read when the option is not given. */
  readonly env?: string;
  /** Shown in help. */
  readonly default?: string;
  /** Only the noun-verb grammar has such a word: it takes the line there. */
  readonly grammar?: "noun";
}

/**
 * `nothing`: a switch. `one`: one value, given once. `list`: values up to the next option, repeatable; as a word, all that
 * are left. `commas`: one word split at its commas, repeatable.
 */
export type Takes = "nothing" | "one" | "list" | "commas";

/** A value of a command, given as an option or as a word: defined once, whichever commands have it. */
export interface Field<Value = unknown> extends Facts {
  readonly takes: Takes;
  /** Turns each value of the line into what `gather` takes. `where` says where it stands if not on the line: ` in BPFMAN_LOG`. */
  parse(text: string, where: string): unknown;
  /** Turns all that was given into what the command gets. */
  gather(items: readonly unknown[]): Value;
  /** What the noun-verb grammar has otherwise. */
  readonly noun?: Partial<Field<Value>>;
  /** The field that this one varies. */
  readonly of?: Field;
}

type Parse<Item> = (text: string, where: string) => Item;
type Given<Value> = Facts & { readonly noun?: Partial<Field<Value>> };
const asWritten = (text: string): string => text;

export const toggle = (facts: Given<boolean>): Field<boolean> => ({
  ...facts,
  takes: "nothing",
  parse: () => true,
  gather: (items) => items.length > 0,
});

/** One value, which is there. */
export function required(facts: Given<string>): Field<string>;
export function required<Item>(facts: Given<Item>, parse: Parse<Item>): Field<Item>;
export function required(facts: Given<unknown>, parse: Parse<unknown> = asWritten): Field {
  return { ...facts, required: true, takes: "one", parse, gather: ([item]) => item };
}

/** One value, or `absent`. */
export function optional(facts: Given<string | null>): Field<string | null>;
export function optional<Item>(facts: Given<Item | null>, parse: Parse<Item | null>): Field<Item | null>;
export function optional<Item>(facts: Given<Item>, parse: Parse<Item>, absent: Item): Field<Item>;
export function optional(facts: Given<unknown>, parse: Parse<unknown> = asWritten, absent: unknown = null): Field {
  return { ...facts, takes: "one", parse, gather: ([item = absent]) => item };
}

type Several<Value> = Given<Value> & { readonly takes: Takes };

/** Several values. */
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

/** A field as one command has it: what is said here, and the rest as in the field that it varies. */
export const vary = <Value>(field: Field<Value>, changes: Partial<Field<Value>>): Field<Value> => ({
  ...field,
  ...changes,
  of: field.of ?? field,
});

/** As a field that need not be there. */
export const ifGiven = <Value>(field: Field<Value>, changes: Partial<Field<Value | null>>): Field<Value | null> =>
  vary<Value | null>(
    { ...field, required: false, gather: ([item = null]) => item as Value | null, of: field.of ?? field },
    changes,
  );

/** As a field that takes all words that are left. */
export const each = <Value>(field: Field<Value>, changes: Partial<Field>): Field<readonly Value[]> =>
  ({ ...field, takes: "list", gather: (items) => items, ...changes, of: field.of ?? field }) as Field<readonly Value[]>;

export type Fields = Readonly<Record<string, Field>>;
export type Values<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer Value> ? Value : never;
};

export interface Example {
  readonly does: string;
  readonly line: string;
}

/** How one grammar has a command. */
interface Projection<Name> {
  readonly description?: readonly string[];
  /** Fields that are words here. */
  readonly words?: readonly Name[];
  /** Fields that are words of the group, as the id in `attach ID xdp`. */
  readonly above?: readonly Name[];
  /** The options in help's order, unless they are all other fields. */
  readonly options?: readonly Name[];
  readonly examples: readonly Example[];
}

interface Definition<F extends Fields> {
  readonly fields: F;
  /** Long description; the leaf's summary when absent. */
  readonly description?: readonly string[];
  /** The output format when none is asked for; text when absent. */
  readonly output?: "json";
  readonly classic?: Projection<keyof F & string>;
  readonly noun?: Projection<keyof F & string>;
  /**
   * Turns the values into what to do. Pure: whatever it throws is a mistake on the command line. A field that a grammar
   * has no place for is absent there.
   */
  prepare(values: Values<F>, noun: boolean): Action;
}

/** A command as one grammar has it. */
export interface Command {
  readonly description?: readonly string[] | undefined;
  readonly fields: Fields;
  readonly args: readonly Field[];
  readonly flags: readonly Field[];
  readonly examples: readonly Example[];
  readonly output: "json" | undefined;
  prepare(values: Values<Fields>): Action;
}

export function defineCommand<F extends Fields>(definition: Definition<F>): { classic: Command; noun: Command } {
  return {
    get classic() {
      return project(definition, definition.fields, definition.classic);
    },
    get noun() {
      const entries = Object.entries(definition.fields).map(([name, field]) => [
        name,
        field.noun === undefined ? field : vary(field, field.noun),
      ]);
      return project(definition, Object.fromEntries(entries), definition.noun);
    },
  };
}

function project<F extends Fields>(definition: Definition<F>, fields: F, projection?: Projection<keyof F>): Command {
  const { words = [], above = [], examples = [], description = definition.description } = projection ?? {};
  const options = projection?.options ?? Object.keys(fields).filter((name) => ![...words, ...above].includes(name));
  return {
    description,
    output: definition.output,
    examples,
    fields,
    args: words.map((name) => fields[name] as Field),
    flags: options.map((name) => fields[name] as Field),
    prepare: (values) => definition.prepare(values as Values<F>, projection === definition.noun),
  };
}

/** Does one operation and prints its answer: what most commands are prepared to do. */
export const asking =
  <Name extends OperationName>(
    name: Name,
    request: unknown,
    text: (answer: Answers[Name], look: Look) => string,
  ): Action =>
  async (session) =>
    session.print(await session.invoke(name, request), text);

export interface Leaf {
  readonly name: string;
  /** One line: the list of commands shows it. */
  readonly summary: string;
  readonly hidden?: true;
  /** Other names that work but are not shown. */
  readonly aliases?: readonly string[];
  /** As of a group. */
  readonly grammar?: "noun";
  /** Fetches the command, which is needed when it is run or described. */
  readonly load: () => Promise<Command>;
}

export interface Group {
  readonly name: string;
  readonly summary: string;
  /** Words between the group's name and the command's, as in `attach ID xdp`. */
  readonly args?: readonly Field[];
  /** Which of its commands fit what those words name, for shell completion. */
  readonly completes?: LiveValue;
  readonly children: readonly Node[];
  /** Belongs to the noun-verb grammar, which has its own form of errors and one exit code for all of them. */
  readonly grammar?: "noun";
  readonly examples?: readonly Example[];
  /** The command that is meant when none is named. */
  readonly otherwise?: {
    readonly child: string;
    /** Also when a word is no command's name: it is then the first word of that command. */
    readonly takesWord?: true;
  };
}

export type Node = Leaf | Group;

export const isGroup = (node: Node): node is Group => "children" in node;

/** Whether a path through the tree leads into the noun-verb grammar. */
export const isNoun = (path: readonly Node[]): boolean => path.some((node) => node.grammar === "noun");

/** The node below a group that has a name, or an alias. */
export function childOf(group: Group, name: string): Node | null {
  const isNamed = (node: Node): boolean =>
    node.name === name || (!isGroup(node) && node.aliases?.includes(name) === true);
  return group.children.find(isNamed) ?? null;
}

export const otherwiseOf = (group: Group): Node | null =>
  group.otherwise === undefined ? null : childOf(group, group.otherwise.child);

/** What help lists of a node's commands. */
export const shownBelow = (node: Node): readonly Node[] =>
  isGroup(node) ? node.children.filter((child) => isGroup(child) || child.hidden !== true) : [];

/** The words that a path through the tree takes, those of its groups first. */
export const wordsOf = (nodes: readonly Node[], command: Command | null): readonly Field[] => [
  ...nodes.flatMap((node) => (isGroup(node) ? (node.args ?? []) : [])),
  ...(command?.args ?? []),
];

/** `bpfman attach tcx` */
export const pathOf = (nodes: readonly Node[]): string => nodes.map((node) => node.name).join(" ");

export interface ServeOptions {
  /** The session ends with this process; null for none. */
  readonly clientProcessId: number | null;
}

export type Action = (session: Session) => Promise<void>;

/** What an action works with. */
export interface Session {
  /** How answers are written: a table needs less of them than JSON shows. */
  readonly output: "text" | "json";
  /** All commands. */
  readonly tree: Group;
  /** Connects on first use. */
  readonly invoke: Invoke;
  /** Changes where `invoke` will connect to. Before its first use. */
  moveTo(places: Partial<Settings>): void;
  /** Writes an answer to stdout: as JSON, or as what `text` makes of it. */
  print<Answer>(answer: Answer, text: (answer: Answer, look: Look) => string): void;
  /** Writes text to stdout, whatever the output format. */
  write(text: string): void;
  /** Writes files into a folder, which is made if need be, and prints their paths. Throws IO_FAILED. */
  save(folder: string, files: readonly { readonly name: string; readonly text: string }[]): void;
  /** Reports a failure and goes on. The first one decides the exit code. */
  fail(error: BpfmanError): void;
  /** Speaks JSON-RPC over stdin and stdout until that session ends, which decides the exit code. */
  serve(options: ServeOptions): Promise<void>;
  /** Writes the OpenRPC document. */
  describeRpc(): Promise<void>;
  /** Writes the long help of a command, named by its words. Throws USAGE for an unknown one. */
  help(words: readonly string[]): Promise<void>;
}

export const metavarOf = (flag: Facts): string => flag.metavar ?? flag.long.toUpperCase().replaceAll("-", "_");

/** `<PATH>`, `<PROGRAM_ID>...`, `[COMMAND]...` */
export function argumentUsage(arg: Field): string {
  const name = arg.long.toUpperCase().replaceAll("-", "_");
  return `${arg.required ? `<${name}>` : `[${name}]`}${arg.takes === "list" ? "..." : ""}`;
}

/** `--path <PATH>`, `--programs <PROGRAMS>...`, `--all` */
export function flagUsage(flag: Field): string {
  if (flag.takes === "nothing") return `--${flag.long}`;
  return `--${flag.long} <${metavarOf(flag)}>${flag.takes === "list" ? "..." : ""}`;
}
