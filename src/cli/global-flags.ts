/** The options that every command takes, before or after its name, and what they say together with the environment. */
import { LOCK_TIMEOUT_DEFAULT_MS } from "../domain/limits.ts";
import { LOG_LEVELS } from "../domain/log.ts";
import type { Settings } from "../domain/settings.ts";
import type { Command, Flag, Line } from "./command.ts";
import { parseDuration } from "./parse/duration.ts";
import { LOG_LEVEL_DEFAULT, parseLogLevel } from "./parse/log-level.ts";
import { parseWord } from "./parse/word.ts";

const OUTPUT_FORMATS = ["text", "json"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

const OUTPUT: Flag = {
  long: "output",
  short: "o",
  takes: "one",
  metavar: "FORMAT",
  choices: OUTPUT_FORMATS,
  default: "text",
  doc: ["How answers are written: text or json. Errors of the classic grammar follow."],
};
const ERROR_FORMAT: Flag = {
  long: "error-format",
  takes: "one",
  metavar: "FORMAT",
  choices: OUTPUT_FORMATS,
  env: "BPFMAN_ERROR_FORMAT",
  default: "as --output in the classic grammar, text in the noun-verb grammar",
  doc: ["How errors are written: text or json."],
};
const RUNTIME_DIR: Flag = {
  long: "runtime-dir",
  takes: "one",
  metavar: "DIR",
  completes: "directory",
  env: "BPFMAN_RUNTIME_DIR",
  default: "/run/bpfman",
  doc: ["Folder for pins, bytecode and the lock, which go with the boot."],
};
const STATE_DIR: Flag = {
  long: "state-dir",
  takes: "one",
  metavar: "DIR",
  completes: "directory",
  env: "BPFMAN_STATE_DIR",
  default: "/var/lib/bpfman, or state/ in --runtime-dir when that is given",
  doc: ["Folder of the database, which survives the boot."],
};
const CACHE_DIR: Flag = {
  long: "cache-dir",
  takes: "one",
  metavar: "DIR",
  completes: "directory",
  aliases: ["image-cache-dir"],
  env: "BPFMAN_CACHE_DIR",
  default: "/var/cache/bpfman, or cache/ in --runtime-dir when that is given",
  doc: ["Folder of the bytecode images that were pulled.", "Newer bpfman's --image-cache-dir is the same."],
};
const CA_FILE: Flag = {
  long: "ca-file",
  takes: "one",
  metavar: "FILE",
  completes: "file",
  env: "BPFMAN_CA_FILE",
  doc: ["Certificates in PEM that registries may have theirs from, besides those the system trusts."],
};
const CONFIG: Flag = {
  long: "config",
  takes: "one",
  metavar: "FILE",
  completes: "file",
  env: "BPFMAN_CONFIG",
  default: "/etc/bpfman/bpfman.toml",
  doc: ["Configuration file."],
};
const LOCK_TIMEOUT: Flag = {
  long: "lock-timeout",
  takes: "one",
  metavar: "DURATION",
  env: "BPFMAN_LOCK_TIMEOUT",
  default: "30s",
  doc: [
    "How long to wait for another bpfman that is changing things.",
    "Numbers with ms, s, m or h, as in 1m30s; a bare number is seconds; 0 waits for ever.",
  ],
};
const LOG_LEVEL: Flag = {
  long: "log-level",
  takes: "one",
  metavar: "LEVEL",
  choices: LOG_LEVELS,
  aliases: ["log"],
  env: "BPFMAN_LOG",
  default: LOG_LEVEL_DEFAULT,
  doc: [
    "What is logged on stderr: off, error, warn, info, debug or trace.",
    "Newer bpfman's --log is the same. Of several levels, as in info,manager=debug, the one that says most counts.",
  ],
};
const NO_COLOR: Flag = {
  long: "no-color",
  takes: "nothing",
  env: "NO_COLOR",
  doc: ["No colours. There are none when stdout is not a terminal, or TERM is dumb."],
};
export const HELP: Flag = {
  long: "help",
  short: "h",
  takes: "nothing",
  doc: ["Print help: -h the short one, --help the long one."],
};
/** Taken before any command only. */
export const VERSION: Flag = { long: "version", short: "V", takes: "nothing", doc: ["Print the version."] };

const GLOBAL_FLAGS: readonly Flag[] = [
  OUTPUT,
  ERROR_FORMAT,
  RUNTIME_DIR,
  STATE_DIR,
  CACHE_DIR,
  CONFIG,
  CA_FILE,
  LOCK_TIMEOUT,
  LOG_LEVEL,
  NO_COLOR,
  HELP,
];

/** The global options next to a command's own, which win where both want the same letter (`-o` of a probe's offset). */
export function globalFlagsBeside(own: readonly Flag[]): readonly Flag[] {
  const taken = new Set(own.map((flag) => flag.short));
  return GLOBAL_FLAGS.map((flag) => {
    if (flag.short === undefined || !taken.has(flag.short)) return flag;
    const { short: _, ...withoutShort } = flag;
    return withoutShort;
  });
}

export interface Globals {
  readonly settings: Settings;
  readonly output: OutputFormat;
  /** Null when the line does not say. */
  readonly errors: OutputFormat | null;
  readonly color: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Unless the user or the terminal wants none. */
export const showsColors = (env: Environment): boolean => !env.NO_COLOR && env.TERM !== "dumb";

/** Reads the global options. An empty environment variable counts as not set. Throws USAGE. */
export function readGlobals({ line, command }: { line: Line; command: Command }, env: Environment): Globals {
  const named = (flag: Flag, what: string): string =>
    line.has(flag) || flag.env === undefined ? what : `${what} in ${flag.env}`;
  const format = (text: string, what: string): OutputFormat =>
    parseWord(text, { what, words: OUTPUT_FORMATS, code: "USAGE" });
  const lockTimeout = line.value(LOCK_TIMEOUT);
  const errorFormat = line.value(ERROR_FORMAT);
  return {
    settings: {
      runtimeDir: line.value(RUNTIME_DIR),
      stateDir: line.value(STATE_DIR),
      cacheDir: line.value(CACHE_DIR),
      configFile: line.value(CONFIG),
      caFile: line.value(CA_FILE),
      lockTimeoutMs:
        lockTimeout === null ? LOCK_TIMEOUT_DEFAULT_MS : parseDuration(lockTimeout, named(LOCK_TIMEOUT, "duration")),
      logLevel: parseLogLevel(line.value(LOG_LEVEL) ?? LOG_LEVEL_DEFAULT, named(LOG_LEVEL, "log level")),
    },
    errors: errorFormat === null ? null : format(errorFormat, named(ERROR_FORMAT, "error format")),
    output: format(line.value(OUTPUT) ?? command.output ?? "text", "output format"),
    color: !line.has(NO_COLOR) && showsColors(env),
  };
}

/** What the options among these values, by long names, say of where things are. */
export function placesIn(given: ReadonlyMap<string, string>): Partial<Settings> {
  const places = {
    runtimeDir: given.get(RUNTIME_DIR.long),
    stateDir: given.get(STATE_DIR.long),
    cacheDir: given.get(CACHE_DIR.long),
    configFile: given.get(CONFIG.long),
  };
  return Object.fromEntries(Object.entries(places).filter(([, value]) => value));
}

interface LineRead {
  readonly args: readonly string[];
  readonly env: Environment;
  /** Null when the line is broken: then its words are looked at. */
  readonly globals: Globals | null;
  readonly noun: boolean;
}

/**
 * How errors are written. Scripts of the noun-verb grammar look for `bpfman: error:` and for words with quotes in them,
 * also where they asked for JSON; so there it takes an option of its own.
 */
export function errorFormatOf({ args, env, globals, noun }: LineRead): OutputFormat {
  const seen = args.slice(0, args.includes("--") ? args.indexOf("--") : args.length);
  const guess = ({ long, short }: Flag): OutputFormat | undefined =>
    OUTPUT_FORMATS.find((format) =>
      seen.some((arg, at) => {
        if ([`--${long}=${format}`, `-${short}=${format}`, `-${short}${format}`].includes(arg)) return true;
        return (arg === `--${long}` || arg === `-${short}`) && seen[at + 1] === format;
      }),
    );
  const asked = globals === null ? guess(ERROR_FORMAT) || env.BPFMAN_ERROR_FORMAT || null : globals.errors;
  const output = globals === null ? guess(OUTPUT) : globals.output;
  return (asked ?? (noun ? null : output)) === "json" ? "json" : "text";
}
