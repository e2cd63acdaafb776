/** Talks to a process line by line. */
export interface Conversation {
  readonly pid: number;
  /** The next line it prints. Throws, with its stderr, when it ends instead. */
  line(): Promise<string>;
  say(line: string): void;
  kill(signal: NodeJS.Signals): void;
  /** What it printed besides, and how it ended. */
  end(): Promise<{ readonly code: number | null; readonly out: string; readonly error: string }>;
}

export function converse(command: readonly string[], env: Readonly<Record<string, string>>): Conversation {
  const child = Bun.spawn([...command], { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] });
  const error = child.stderr.text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  async function line(): Promise<string> {
    while (!rest.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`${command.join(" ")} ended instead of a line: ${rest}${await error}`);
      rest += value;
    }
    const [first = "", ...more] = rest.split("\n");
    rest = more.join("\n");
    return first;
  }
  return {
    pid: child.pid,
    line,
    say: (text) => void child.stdin.write(`${text}\n`),
    kill: (signal) => child.kill(signal),
    async end() {
      child.stdin.end();
      let out = rest;
      for (let read = await reader.read(); !read.done; read = await reader.read()) out += read.value;
      await child.exited;
      return { code: child.signalCode === null ? child.exitCode : null, out, error: await error };
    },
  };
}
