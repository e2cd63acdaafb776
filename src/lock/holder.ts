import * as fs from "node:fs";

export interface Holder {
  readonly pid: number;
  /** The command without options, which may contain secrets: `bpfman load file`. Null if the process is not visible. */
  readonly command: string | null;
}

const COMMAND_CHARS_MAX = 80;

/** Returns the process whose PID is in the lock file; null if there is none or it has exited. */
export function describeHolder(lockPath: string): Holder | null {
  const pid = Number.parseInt(contentOf(lockPath), 10);
  if (!Number.isSafeInteger(pid) || pid < 1 || !fs.existsSync(`/proc/${pid}`)) return null;
  return { pid, command: commandOf(pid) };
}

/** proc_pid_cmdline(5): NUL-terminated arguments; empty for kernel threads and zombies, which only have a name. */
export function commandOf(pid: number): string | null {
  const words = contentOf(`/proc/${pid}/cmdline`).split("\0");
  const program = (words[0] ?? "").split("/").at(-1) ?? "";
  const options = words.findIndex((word, index) => index > 0 && (word === "" || word.startsWith("-")));
  const command =
    program === ""
      ? contentOf(`/proc/${pid}/comm`)
      : [program, ...words.slice(1, options < 0 ? words.length : options)].join(" ");
  // Processes choose their arguments freely, so they must not reach the terminal unescaped.
  const shown = command.trim().replaceAll(/\p{C}/gu, "?").slice(0, COMMAND_CHARS_MAX);
  return shown === "" ? null : shown;
}

function contentOf(path: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
