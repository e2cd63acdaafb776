/**
 * What the command table is made of. Parsing, help, and everything that is generated (completions, man pages,
 * docs/cli.md) reads these shapes and nothing else.
 */
import type { LiveValue } from "../domain/completion.ts";
import type { Settings } from "../domain/settings.ts";
import type { BpfmanError } from "../errors/error.ts";
import type { Invoke } from "../service/invoke.ts";

/**
 * What stands at a place, for shell completion: something live, or names that the shell knows best. `object` and `target`
 * are files, into which the completion of other places looks; `platform-file` is one, perhaps behind `linux/ARCH=`.
 */
export type Completion = LiveValue | "command" | "directory" | "file" | "object" | "platform-file" | "target";

export interface Flag {
  /** Without the dashes. */
  readonly long: string;
  /** One letter, without the dash. */
  readonly short?: string;
  /** Other long names that mean the same, as another bpfman has them. Help names the long one alone. */
  readonly aliases?: readonly string[];
  /**
   * `nothing`: a switch. `one`: one value, given once. `list`: values up to the next option, repeatable. `commas`: one
   * word split at its commas, repeatable.
   */
  readonly takes: "nothing" | "one" | "list" | "commas";
  readonly required?: true;
  /** Name of the value in help; the long name in capitals when absent. */
  readonly metavar?: string;
  /** The whole help text, line by line; its first sentence is the short help. */
  readonly doc: readonly string[];
  /** All words that are accepted, where they can be listed. */
  readonly choices?: readonly string[];
  readonly completes?: Completion;
  /** Environment variable that is read when the option is not given. */
  readonly env?: string;
  /** Shown in help. */
  readonly default?: string;
}

/** A word that belongs to no option. */
export interface Argument {
  /** In lower case with dashes; capitals in help. */
  readonly name: string;
  /** Takes all words that are left: at least one unless optional. */
  readonly many?: true;
  readonly optional?: true;
  readonly doc: readonly string[];
  /** All words that are accepted, where they can be listed; with `completes`, those that are accepted besides. */
  readonly choices?: readonly string[];
  readonly completes?: Completion;
  /** Only the noun-verb grammar has such a word: it takes the line there. */
  readonly grammar?: "noun";
}

export interface Example {
  readonly does: string;
  readonly line: string;
}

/** What a leaf does, in a module that is fetched only when it is run or described. */
export interface Command {
  /** Long description; the leaf's summary when absent. */
  readonly description?: readonly string[];
  readonly args: readonly Argument[];
  readonly flags: readonly Flag[];
  readonly examples: readonly Example[];
  /** The output format when none is asked for; text when absent. */
  readonly output?: "json";
  /** Turns the line into what to do. Pure: whatever it throws is a mistake on the command line. */
  prepare(line: Line): Action;
}

export interface Leaf {
  readonly name: string;
  /** One line: the list of commands shows it. */
  readonly summary: string;
  readonly hidden?: true;
  /** Other names that work but are not shown. */
  readonly aliases?: readonly string[];
  /** As of a group. */
  readonly grammar?: "noun";
  readonly load: () => Promise<Command>;
}

export interface Group {
  readonly name: string;
  readonly summary: string;
  /** Words between the group's name and the command's, as in `attach ID xdp`. */
  readonly args?: readonly Argument[];
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

/** Whether a path through the tree leads into the noun-verb grammar. */
export const isNoun = (path: readonly Node[]): boolean => path.some((node) => node.grammar === "noun");

export const isGroup = (node: Node): node is Group => "children" in node;

/** A command line taken apart, values still as they were written. */
export interface Line {
  /** Whether a switch is set, or an option has a value on the line. */
  has(flag: Flag): boolean;
  /** The value of an option that takes one, or that of its environment variable; null when neither was given. */
  value(flag: Flag): string | null;
  /** The values of an option that takes several; empty when it was not given. */
  values(flag: Flag): readonly string[];
  /** The only word for an argument. Never called for one that is optional or takes many. */
  word(arg: Argument): string;
  words(arg: Argument): readonly string[];
}

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
  print<Answer>(answer: Answer, text: (answer: Answer, styled: boolean) => string): void;
  /** Writes text to stdout, whatever the output format. */
  write(text: string): void;
  /** Writes files into a folder, which is made if need be, and answers their paths. Throws IO_FAILED. */
  save(folder: string, files: readonly { readonly name: string; readonly text: string }[]): string[];
  /** Reports a failure and goes on. The first one decides the exit code. */
  fail(error: BpfmanError): void;
  /** Speaks JSON-RPC over stdin and stdout until that session ends, which decides the exit code. */
  serve(options: ServeOptions): Promise<void>;
  /** Writes the OpenRPC document. */
  describeRpc(): Promise<void>;
  /** Writes the long help of a command, named by its words. Throws USAGE for an unknown one. */
  help(words: readonly string[]): Promise<void>;
}

export const metavarOf = (flag: Flag): string => flag.metavar ?? flag.long.toUpperCase().replaceAll("-", "_");

/** `<PATH>`, `<PROGRAM_ID>...`, `[COMMAND]...` */
export function argumentUsage(arg: Argument): string {
  const name = arg.name.toUpperCase().replaceAll("-", "_");
  return `${arg.optional ? `[${name}]` : `<${name}>`}${arg.many ? "..." : ""}`;
}

/** `--path <PATH>`, `--programs <PROGRAMS>...`, `--all` */
export function flagUsage(flag: Flag): string {
  if (flag.takes === "nothing") return `--${flag.long}`;
  return `--${flag.long} <${metavarOf(flag)}>${flag.takes === "list" ? "..." : ""}`;
}
