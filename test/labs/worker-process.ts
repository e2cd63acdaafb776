/** A worker of a session whose operations do as their requests say, for test/unit/rpc/worker.test.ts. */
import { writeSync } from "node:fs";
import { work } from "../../rpc/worker-process.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import type { Invoke } from "../../src/service/invoke.ts";
import type { SessionService } from "../../src/service/session.ts";

/** What a test asks a worker for. */
export interface Wish {
  /** The answer, in the end. */
  readonly answer?: unknown;
  /** Nothing else runs in the process meanwhile, as in a system call. */
  readonly blockMs?: number;
  /** Waits until it is cancelled, and then takes so long to undo. */
  readonly undoMs?: number;
  /** Nothing else runs in the process before it begins to undo, as in a system call that it entered when it was cancelled. */
  readonly blockUndoMs?: number;
  readonly logChars?: number;
  readonly printed?: string;
}

const invoke = async (name: string, request: unknown, context: Parameters<Invoke>[2]) => {
  const { answer, blockMs = 0, undoMs, blockUndoMs = 0, logChars, printed } = request as Wish;
  context?.log?.warn(`${name} for ${context.owner}`, { operation: context.operationId });
  context?.progress?.("half done");
  Bun.sleepSync(blockMs);
  if (printed !== undefined) writeSync(1, printed);
  if (logChars !== undefined) {
    const sys = { call: "bpf", errno: 22, name: "EINVAL" };
    throw new BpfmanError("VERIFIER_REJECTED", "no", {
      verifierLog: "\n".repeat(logChars),
      hint: "do",
      sys,
      details: { at: [1] },
    });
  }
  if (undoMs !== undefined) {
    await new Promise((resolve) => context?.signal?.addEventListener("abort", resolve));
    Bun.sleepSync(blockUndoMs);
    await Bun.sleep(undoMs);
    throw new BpfmanError("CANCELLED", "undone");
  }
  return answer;
};

const service = { invoke, release: async () => {} } as unknown as SessionService;
await work({
  input: Bun.stdin.stream(),
  write: (text) => {
    for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest));
  },
  signal: new AbortController().signal,
  connect: async () => service,
});
