import { readTextSync, statSync } from "../../../ffi/safe/file-system.ts";
import { openFileSystem } from "../../../ffi/safe/mount.ts";
import { openTracepoint } from "../../../ffi/safe/perf.ts";
import { BpfmanError, type SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { type Attempt, attempt, type Meaning } from "../kernel-failure.ts";
import { kernelFunctions } from "./kernel-function.ts";
import { explainPerfLink, linkPerfEvent } from "./perf-link.ts";

export type TracepointAttach = Extract<KernelAttach, { kind: "tracepoint" }>;

/** Calls `work` with the path of a tracefs. Throws TRACEFS_UNAVAILABLE, PERMISSION_DENIED. */
export function withTracefs<T>(work: (path: string) => T): T {
  const open: Attempt = {
    action: "open the tracing file system",
    code: "TRACEFS_UNAVAILABLE",
    explain: (sys: SysFailure): Meaning | null =>
      sys.name === "EPERM"
        ? {
            code: "PERMISSION_DENIED",
            reason: "mounting it needs CAP_SYS_ADMIN",
            hint: "run it as root, or mount it before: mount -t tracefs tracefs /sys/kernel/tracing",
          }
        : null,
  };
  const tracefs = attempt(open, () => openFileSystem("tracefs"));
  try {
    return work(tracefs.path);
  } finally {
    tracefs.close();
  }
}

/** Returns all tracepoints as `group/name`, in the kernel's order. Throws TRACEFS_UNAVAILABLE, PERMISSION_DENIED. */
export function tracepoints(): string[] {
  const list = { action: "list the tracepoints", code: "TRACEFS_UNAVAILABLE", explain: explainFile } as const;
  const events = withTracefs((path) => attempt(list, () => readTextSync(`${path}/available_events`)));
  // `group:name`, one per line. A name can contain a colon, a group cannot.
  return events.split("\n").flatMap((line) => (line === "" ? [] : [line.replace(":", "/")]));
}

/**
 * Returns the names under which raw tracepoints are attached to: those that have no event are not among them, and events of
 * single system calls have none. Throws TRACEFS_UNAVAILABLE, PERMISSION_DENIED.
 */
export const rawTracepoints = (): string[] =>
  tracepoints().flatMap((each) => (each.startsWith("syscalls/") ? [] : each.slice(each.indexOf("/") + 1)));

/**
 * Yields the names of the functions that the kernel can trace (available_filter_functions), or of all where that list cannot
 * be read: the kernel refuses those that it cannot trace. Throws KERNEL_CALL_FAILED.
 */
export function* traceableFunctions(): Generator<string> {
  const list = traceableList();
  if (list === null) return yield* kernelFunctions();
  for (const line of list.split("\n")) {
    const [name = ""] = line.split(" ", 1);
    // Weak functions that others replaced have a place, and this name.
    if (name !== "" && !name.startsWith("__ftrace_invalid_address__")) yield name;
  }
}

function traceableList(): string | null {
  try {
    return withTracefs((path) => readTextSync(`${path}/available_filter_functions`));
  } catch {
    return null;
  }
}

/** Reports whether the text is a single path component that does not lead elsewhere. */
const isName = (text: string): boolean => text !== "" && text !== "." && text !== ".." && !/[/\0]/.test(text);

const idPath = (tracefs: string, group: string, name: string): string => `${tracefs}/events/${group}/${name}/id`;

/** Unlike access(2), stat(2) goes by the effective capabilities. */
const isThere = (file: string): boolean =>
  attempt({ action: "look for the tracepoint", code: "TRACEFS_UNAVAILABLE", explain: explainFile }, () =>
    statSync(file),
  ) !== undefined;

/** Usually only root may enter a tracefs. */
export const explainFile = (sys: SysFailure): Meaning | null =>
  sys.name === "EACCES"
    ? {
        code: "PERMISSION_DENIED",
        reason: "only root may read the tracing file system",
        hint: "CAP_DAC_READ_SEARCH allows it, too; or open it to a group: mount -o remount,mode=750,gid=GROUP /sys/kernel/tracing",
      }
    : null;

/** Throws TRACEFS_UNAVAILABLE, PERMISSION_DENIED. */
export const tracepointExists = (group: string, name: string): boolean =>
  isName(group) && isName(name) && withTracefs((path) => isThere(idPath(path, group, name)));

/**
 * Returns the descriptor of the new link. Throws TRACEPOINT_NOT_FOUND, TRACEFS_UNAVAILABLE, ALREADY_ATTACHED,
 * KERNEL_UNSUPPORTED, ATTACH_FAILED.
 */
export function attachTracepoint(program: number, { group, name }: TracepointAttach): number {
  const action = `attach to tracepoint "${group}/${name}"`;
  return withTracefs((path) => {
    if (!isName(group) || !isName(name) || !isThere(idPath(path, group, name))) {
      throw new BpfmanError("TRACEPOINT_NOT_FOUND", `${action}: this kernel has no such tracepoint`, {
        details: { group, name },
      });
    }
    return attempt({ action, code: "ATTACH_FAILED", explain: explainPerfLink }, () => {
      const id = Number(readTextSync(idPath(path, group, name)));
      return linkPerfEvent(program, () => openTracepoint(id));
    });
  });
}
