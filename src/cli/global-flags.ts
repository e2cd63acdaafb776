/** The options that every command takes, before or after its name, and what they say together with the environment. */
import { LOCK_TIMEOUT_DEFAULT_MS } from "../domain/limits.ts";
import { LOG_LEVELS } from "../domain/log.ts";
import type { Settings } from "../domain/settings.ts";
import type { Command, Flag, Line } from "./command.ts";
import { parseDuration } from "./parse-duration.ts";
import { parseWord } from "./parse-word.ts";

const OUTPUT_FORMATS = ["text", "json"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

const OUTPUT: Flag = {
  long: "output",
  short: "o",
  takes: "one",
  metavar: "FORMAT",
  choices: OUTPUT_FORMATS,
  default: "text",
  doc: ["How answers and errors are written: text or json."],
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
  env: "BPFMAN_CACHE_DIR",
  default: "/var/cache/bpfman, or cache/ in --runtime-dir when that is given",
  doc: ["Folder of the bytecode images that were pulled."],
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
  default: "30s",
  doc: [
    "How long to wait for another bpfman that is changing things.",
    "A number with ms, s, m or h; a bare number is seconds; 0 waits for ever.",
  ],
};
const LOG_LEVEL: Flag = {
  long: "log-level",
  takes: "one",
  metavar: "LEVEL",
  choices: LOG_LEVELS,
  env: "BPFMAN_LOG",
  default: "warn",
  doc: ["What is logged on stderr: off, error, warn, info, debug or trace."],
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
  /** Errors are JSON only when that was asked for. */
  readonly errors: OutputFormat;
  readonly color: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Unless the user or the terminal wants none. */
export const showsColors = (env: Environment): boolean => !env.NO_COLOR && env.TERM !== "dumb";

/** Reads the global options. An empty environment variable counts as not set. Throws USAGE. */
export function readGlobals({ line, command }: { line: Line; command: Command }, env: Environment): Globals {
  const given = (flag: Flag): string | null => {
    const fromEnv = flag.env === undefined ? undefined : env[flag.env];
    return line.value(flag) ?? (fromEnv ? fromEnv : null);
  };
  const lockTimeout = line.value(LOCK_TIMEOUT);
  const level = line.value(LOG_LEVEL);
  const levelFrom = level === null ? "log level in BPFMAN_LOG" : "log level";
  return {
    settings: {
      runtimeDir: given(RUNTIME_DIR),
      stateDir: given(STATE_DIR),
      cacheDir: given(CACHE_DIR),
      configFile: given(CONFIG),
      caFile: given(CA_FILE),
      lockTimeoutMs: lockTimeout === null ? LOCK_TIMEOUT_DEFAULT_MS : parseDuration(lockTimeout),
      logLevel: parseWord(given(LOG_LEVEL) ?? "warn", { what: levelFrom, words: LOG_LEVELS, code: "USAGE" }),
    },
    errors: line.value(OUTPUT) === "json" ? "json" : "text",
    output: parseWord(line.value(OUTPUT) ?? command.output ?? "text", {
      what: "output format",
      words: OUTPUT_FORMATS,
      code: "USAGE",
    }),
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

/** Whether a line that may be broken asks for JSON: its errors are then written so. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const seen = end < 0 ? args : args.slice(0, end);
  return seen.some((arg, at) => {
    if (arg === "--output=json" || arg === "-o=json" || arg === "-ojson") return true;
    return (arg === "--output" || arg === "-o") && seen[at + 1] === "json";
  });
}
