/** Reads trace_pipe (Documentation/trace/ftrace.rst), where bpf_printk writes to. */
import { closeSync, constants, openSync } from "../../ffi/safe/file-system.ts";
import { readSome, waitFor } from "../../ffi/safe/ready.ts";
import type { OpenTrace } from "../platform/kernel.ts";
import { explainFile, withTracefs } from "./hooks/tracepoint-link.ts";
import { attempt } from "./kernel-failure.ts";

const READ_BYTES = 64 * 1024;

export function openTrace(): OpenTrace {
  const trying = {
    action: "read what programs print (trace_pipe)",
    code: "TRACEFS_UNAVAILABLE",
    explain: (sys: Parameters<typeof explainFile>[0]) =>
      sys.name === "EBUSY"
        ? ({ code: "EVENTS_TAKEN", reason: "another process reads it, and only one can" } as const)
        : explainFile(sys),
  } as const;
  // Once it is open, the file needs no mount.
  const fd = withTracefs((path) =>
    attempt(trying, () => openSync(`${path}/trace_pipe`, constants.O_RDONLY | constants.O_NONBLOCK)),
  );
  return {
    read: () => attempt(trying, () => readSome(fd, READ_BYTES)) ?? new Uint8Array(),
    wait: (ms) => void waitFor([fd], ms),
    close: () => closeSync(fd),
  };
}
