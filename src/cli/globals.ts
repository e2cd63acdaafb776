/** The options that every command accepts, before or after its name, merged with the environment. */
import { LOCK_TIMEOUT_DEFAULT_MS } from "../domain/limits.ts";
import { LOG_LEVELS } from "../domain/log.ts";
import { type Field, optional, toggle, type Values } from "./command.ts";
import type { Trail } from "./parse/line.ts";
import type { Environment } from "./parse/values.ts";
import { LOG_LEVEL_DEFAULT, oneOf, parseLogLevel, parseDuration } from "./parse/word.ts";

const OUTPUT_FORMATS = ["text", "json"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

const DIRECTORY = { metavar: "DIR", completes: "directory" } as const;
/** Only accepted before any command. */
export const VERSION = toggle({
  long: "version",
  short: "V",
  doc: ["Print the version on one line; `bpfman version` shows more."],
});

/** Accepted by every command, in the order of help. */
export const GLOBALS = {
  output: optional(
    {
      long: "output",
      short: "o",
      metavar: "FORMAT",
      choices: OUTPUT_FORMATS,
      default: "text",
      doc: ["Output format: text or json.", "In the classic grammar it also applies to errors."],
    },
    oneOf("output format", OUTPUT_FORMATS),
  ),
  errorFormat: optional(
    {
      long: "error-format",
      metavar: "FORMAT",
      choices: OUTPUT_FORMATS,
      env: "BPFMAN_ERROR_FORMAT",
      default: "as --output in the classic grammar, else text",
      doc: ["Error format: text or json."],
    },
    oneOf("error format", OUTPUT_FORMATS),
  ),
  runtimeDir: optional({
    ...DIRECTORY,
    long: "runtime-dir",
    env: "BPFMAN_RUNTIME_DIR",
    default: "/run/bpfman",
    doc: ["Directory of pins and bytecode; lost at reboot.", "The lock is there as well."],
  }),
  stateDir: optional({
    ...DIRECTORY,
    long: "state-dir",
    env: "BPFMAN_STATE_DIR",
    default: "/var/lib/bpfman, or state/ in a given --runtime-dir",
    doc: ["Directory of the database; kept across reboots."],
  }),
  cacheDir: optional({
    ...DIRECTORY,
    long: "cache-dir",
    aliases: ["image-cache-dir"],
    env: "BPFMAN_CACHE_DIR",
    default: "/var/cache/bpfman, or cache/ in a given --runtime-dir",
    doc: ["Directory for pulled bytecode images.", "Newer bpfman's name for it, --image-cache-dir, works too."],
  }),
  configFile: optional({
    long: "config",
    metavar: "FILE",
    completes: "file",
    env: "BPFMAN_CONFIG",
    default: "/etc/bpfman/bpfman.toml",
    doc: ["Configuration file."],
  }),
  caFile: optional({
    long: "ca-file",
    metavar: "FILE",
    completes: "file",
    env: "BPFMAN_CA_FILE",
    doc: ["Extra CA certificates for registries, in PEM."],
  }),
  lockTimeoutMs: optional(
    {
      long: "lock-timeout",
      metavar: "DURATION",
      env: "BPFMAN_LOCK_TIMEOUT",
      default: "30s",
      doc: [
        "How long to wait for another bpfman to finish.",
        "Units are ms, s, m and h, as in 1m30s; a bare number is seconds.",
        "0 waits forever.",
      ],
    },
    parseDuration,
    LOCK_TIMEOUT_DEFAULT_MS,
  ),
  logLevel: optional(
    {
      long: "log-level",
      metavar: "LEVEL",
      choices: LOG_LEVELS,
      aliases: ["log"],
      env: "BPFMAN_LOG",
      default: LOG_LEVEL_DEFAULT,
      doc: [
        "Log level on stderr, from off to trace.",
        "The levels are off, error, warn, info, debug and trace.",
        "Newer bpfman's name for it, --log, works too. Of several levels,",
        "as in info,manager=debug, the most verbose one counts.",
      ],
    },
    parseLogLevel,
    LOG_LEVEL_DEFAULT,
  ),
  noColor: toggle({
    long: "no-color",
    env: "NO_COLOR",
    doc: ["Turn colours off.", "They are off anyway unless stdout is a terminal, or if TERM is dumb."],
  }),
  help: toggle({ long: "help", short: "h", doc: ["Show help: -h in brief, --help in full."] }),
};
export type Globals = Values<typeof GLOBALS>;

/**
 * Returns the global options beside the own ones of a command, or of the root. The own ones take precedence if both use
 * a letter (`-o` for a probe's offset); a command with more output formats has an option of its own for them.
 */
export function globalsBeside(own: readonly Field[], isRoot = false): readonly Field[] {
  const taken = new Set(own.map((flag) => flag.short));
  const all: readonly Field[] = [...Object.values(GLOBALS), ...(isRoot ? [VERSION] : [])];
  const named = all.filter((flag) => own.every(({ long }) => long !== flag.long));
  return named.map((flag) =>
    flag.short !== undefined && taken.has(flag.short) ? { ...flag, short: undefined } : flag,
  );
}

/** False if the user or the terminal disables colours. */
export const showsColors = (env: Environment): boolean => !env.NO_COLOR && env.TERM !== "dumb";

/**
 * Returns the format of errors. Without parsed globals, the words of the line are inspected directly. Scripts for the
 * noun-verb grammar look for `bpfman: error:` and quoted words even if they requested JSON, so JSON errors need a
 * separate option there.
 */
export function errorFormatOf({ tokens, noun }: Trail, env: Environment, globals: Globals | null): OutputFormat {
  const { all } = tokens;
  const seen = all.slice(0, all.includes("--") ? all.indexOf("--") : all.length);
  const guess = ({ long, short }: Field): OutputFormat | undefined =>
    OUTPUT_FORMATS.find((format) =>
      seen.some((arg, at) => {
        if ([`--${long}=${format}`, `-${short}=${format}`, `-${short}${format}`].includes(arg)) return true;
        return (arg === `--${long}` || arg === `-${short}`) && seen[at + 1] === format;
      }),
    );
  const asked = globals === null ? guess(GLOBALS.errorFormat) || env.BPFMAN_ERROR_FORMAT || null : globals.errorFormat;
  const output = globals === null ? guess(GLOBALS.output) : globals.output;
  return (asked ?? (noun ? null : output)) === "json" ? "json" : "text";
}
