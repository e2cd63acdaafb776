/** The process's own stdin and stdout as the two ends of a session. */

/** Chunks as they come; nothing is read ahead of who asks for it. */
export const standardInput = (): AsyncIterable<Uint8Array> => Bun.stdin.stream();

/** Resolves when the pipe has taken the bytes; rejects when its reader has gone. */
export function standardOutput(): (bytes: Uint8Array) => Promise<void> {
  const sink = Bun.stdout.writer();
  return async (bytes) => {
    sink.write(bytes);
    await sink.flush();
  };
}
