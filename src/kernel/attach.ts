import { objectKind } from "../../ffi/safe/bpf.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { BpfmanError } from "../errors/error.ts";
import type { AttachedLink, KernelAttach } from "../platform/kernel.ts";
import { readLink } from "./link-info.ts";
import { attachKprobe } from "./kprobe.ts";
import { openPinFd, pin } from "./pin.ts";
import { attachTcx } from "./tcx.ts";
import { attachTracepoint } from "./tracepoint.ts";
import { attachTracing } from "./tracing.ts";
import { attachUprobe } from "./uprobe.ts";

/** Makes the link of each kind; answers its descriptor. */
function createLink(program: number, target: KernelAttach): number {
  switch (target.kind) {
    case "tracepoint":
      return attachTracepoint(program, target);
    case "uprobe":
    case "uretprobe":
      return attachUprobe(program, target);
    case "kprobe":
    case "kretprobe":
      return attachKprobe(program, target);
    case "fentry":
    case "fexit":
    case "lsm":
      return attachTracing(program, target);
    case "tcx":
      return attachTcx(program, target);
  }
}

export function attach(programPin: string, target: KernelAttach): AttachedLink {
  const program = openPinFd(programPin);
  if (program === null) {
    throw new BpfmanError("STATE_CONFLICT", `attach: no program is pinned at "${programPin}"`, {
      details: { pin: programPin },
    });
  }
  try {
    if (objectKind(program) !== "program") {
      throw new BpfmanError("STATE_CONFLICT", `attach: "${programPin}" is no program`, {
        details: { pin: programPin },
      });
    }
    return handleOf(createLink(program, target));
  } finally {
    closeFd(program);
  }
}

function handleOf(fd: number): AttachedLink {
  let open = true;
  const close = () => {
    if (open) closeFd(fd);
    open = false;
  };
  try {
    const { id } = readLink(fd);
    return { id, pin: (path) => pin(`link ${id}`, fd, path), close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}
