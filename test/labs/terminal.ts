/** Interactive shells on a terminal, for tests to type into. */
import { until } from "./kernel-lab.ts";

export interface TypedLine {
  /** The command line as it stood in the end. */
  readonly line: string;
  /** Everything that was written to the terminal meanwhile. */
  readonly shown: string;
}

export interface Shell {
  readonly command: readonly string[];
  /** Written at the first prompt. */
  readonly setUp: string;
}

const SHELLS: Readonly<Record<"bash" | "zsh", Shell>> = {
  bash: { command: ["bash", "--norc", "--noprofile", "-i"], setUp: "source <(bpfman completions bash)" },
  zsh: {
    command: ["zsh", "-f", "-i"],
    setUp: "autoload -Uz compinit; compinit -u -D; bindkey -e; source <(bpfman completions zsh)",
  },
};

const HOME_KEY = "\x01";
const END_KEY = "\x05";

/** Types into a fresh shell, tabs included, and reads the line that came of it. */
export async function typeInto(
  shell: keyof typeof SHELLS | Shell,
  keys: string,
  env: Readonly<Record<string, string>>,
): Promise<TypedLine> {
  const { command, setUp } = typeof shell === "string" ? SHELLS[shell] : shell;
  const decoder = new TextDecoder();
  let text = "";
  const child = Bun.spawn([...command], {
    env: { TERM: "dumb", PS1: "$ ", HISTFILE: "", ...env },
    terminal: {
      cols: 160,
      rows: 60,
      data: (_terminal, data) => {
        text += decoder.decode(data, { stream: true });
      },
    },
  });
  try {
    child.terminal?.write(`${setUp}; echo read""y\n`);
    await until(() => text.includes("ready"));
    const before = text.length;
    // What is typed waits in the terminal until the shell has completed.
    child.terminal?.write(`${keys}${HOME_KEY}: '<${END_KEY}>'; echo do""ne\n`);
    await until(() => text.includes("done", before));
    const shown = text.slice(before);
    const typed = [...shown.matchAll(/: '<([^\r\n]*)>'; echo do""ne/g)].at(-1)?.[1];
    return { line: typed ?? "", shown };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    child.terminal?.close();
  }
}

/** What fish would offer for a line: candidates with their descriptions behind a tab. */
export function fishOffers(line: string, env: Readonly<Record<string, string>>): string[] {
  const script = "bpfman completions fish | source; complete -C $argv[1]";
  const result = Bun.spawnSync(["fish", "--no-config", "-c", script, line], { env: { TERM: "dumb", ...env } });
  if (result.exitCode !== 0) throw new Error(`fish: ${result.stderr}`);
  return result.stdout
    .toString()
    .split("\n")
    .filter((each) => each !== "");
}

/**
 * What a line typed into an interactive elvish prints, tabs included. elvish has its completion only there, and redraws the
 * line at each key: the answer is what stands between two marks.
 */
export async function elvishPrints(keys: string, env: Readonly<Record<string, string>>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const child = Bun.spawn(["elvish", "-norc"], {
    env: { TERM: "xterm", ...env, XDG_RUNTIME_DIR: env.HOME ?? "" },
    terminal: {
      cols: 400,
      rows: 60,
      data: (_terminal, data) => {
        text += decoder.decode(data, { stream: true });
      },
    },
  });
  try {
    child.terminal?.write("eval (bpfman completions elvish | slurp); echo rea''dy\r");
    await until(() => text.includes("ready"));
    child.terminal?.write(`echo be''gun; ${keys}; echo do''ne\r`);
    await until(() => text.includes("done"));
    return /begun\r?\n(.*?)done/s.exec(text)?.[1]?.replaceAll("\r", "") ?? "";
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    child.terminal?.close();
  }
}
