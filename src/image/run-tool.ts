import { TOOL_LINE_CHARS_MAX, TOOL_LINES_KEPT, TOOL_STOP_TIMEOUT_MS } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf, sysPart } from "../errors/sys-failure.ts";
import type { BuildWork } from "../platform/image-build.ts";

export interface ToolRun {
  /** Null if a signal killed it. */
  readonly code: number | null;
  readonly lastLines: readonly string[];
}

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly work: BuildWork;
}

/**
 * Runs a program without input and waits for it. Passes each line of output to `work.relay`. The program gets its own
 * process group, which is terminated when the signal fires, and killed if that takes too long. Throws CANCELLED in that
 * case, and CONTAINER_BUILD_FAILED if the program cannot be started.
 */
export async function runTool(command: readonly string[], { env, work }: Surroundings): Promise<ToolRun> {
  const { signal } = work;
  if (signal.aborted) throw cancelled();
  const child = start(command, env);
  const kill = (name: "SIGTERM" | "SIGKILL"): void => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // The whole group has already exited.
    }
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    kill("SIGTERM");
    timer = setTimeout(() => kill("SIGKILL"), TOOL_STOP_TIMEOUT_MS);
  };
  signal.addEventListener("abort", stop, { once: true });
  const lastLines: string[] = [];
  const take = (line: string): void => {
    work.relay(line);
    lastLines.push(line);
    if (lastLines.length > TOOL_LINES_KEPT) lastLines.shift();
  };
  try {
    await Promise.all([eachLine(child.stdout, take), eachLine(child.stderr, take), child.exited]);
  } finally {
    signal.removeEventListener("abort", stop);
    clearTimeout(timer);
  }
  if (signal.aborted) throw cancelled();
  return { code: child.signalCode === null ? child.exitCode : null, lastLines };
}

function start(command: readonly string[], env: Surroundings["env"]) {
  try {
    return Bun.spawn([...command], { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  } catch (cause) {
    throw new BpfmanError("CONTAINER_BUILD_FAILED", `start "${command[0]}": ${reasonOf(cause)}`, {
      details: { command: command[0] },
      ...sysPart(cause),
      cause,
    });
  }
}

const cancelled = (): BpfmanError => new BpfmanError("CANCELLED", "interrupted while the container tool ran");

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) for (const piece of piecesOf(line)) take(piece);
    const pieces = piecesOf(rest);
    rest = pieces.pop() ?? "";
    pieces.forEach(take);
  }
  if (rest !== "") take(rest);
}

/** Returns at least one piece. The last one may be incomplete. */
function piecesOf(line: string): string[] {
  const count = Math.max(1, Math.ceil(line.length / TOOL_LINE_CHARS_MAX));
  return Array.from({ length: count }, (_, at) => line.slice(at * TOOL_LINE_CHARS_MAX, (at + 1) * TOOL_LINE_CHARS_MAX));
}
