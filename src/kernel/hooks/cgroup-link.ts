import { createCgroupLink, queryCgroup } from "../../../ffi/safe/bpf-link.ts";
import { programId } from "../../domain/ids.ts";
import type { CgroupHook } from "../../domain/link.ts";
import { BpfmanError, type SysFailure } from "../../errors/error.ts";
import type { CgroupAttach, HookState } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { type OpenCgroup, withCgroup } from "./cgroup-directory.ts";

const describe = ({ cgroup, attachType }: CgroupHook): string => `cgroup "${cgroup}" (${attachType.toLowerCase()})`;

const GONE: Meaning = { code: "CGROUP_NOT_FOUND", reason: "the cgroup has been removed" };

/** Calls `work` with the cgroup of the hook; another one may have been made at its path. */
function withHook<T>(hook: CgroupHook, action: string, work: (cgroup: OpenCgroup) => T): T {
  return withCgroup(hook.cgroup, (cgroup) => {
    if (cgroup.id === hook.cgroupId) return work(cgroup);
    throw new BpfmanError("CGROUP_NOT_FOUND", `${action}: the cgroup has been removed, and made again`, {
      details: { cgroup: hook.cgroup },
    });
  });
}

/** Throws CGROUP_NOT_FOUND. */
export function cgroupState(hook: CgroupHook): HookState {
  const action = `read the programs of ${describe(hook)}`;
  const explain = ({ name }: SysFailure) => (name === "ENODEV" ? GONE : null);
  const { revision, programIds } = withHook(hook, action, ({ fd }) =>
    attempt({ action, code: "KERNEL_CALL_FAILED", explain }, () => queryCgroup(fd, hook.attachType)),
  );
  return { revision, members: programIds.map((id) => ({ program: programId(id), link: null })) };
}

/** Returns the descriptor of the new link. Throws CGROUP_NOT_FOUND, HOOK_CHANGED, HOOK_BUSY, ATTACH_FAILED. */
export function attachCgroup(program: number, target: CgroupAttach): number {
  const { anchor, attachType, revision } = target;
  const beside = anchor.side === "last" ? null : { side: anchor.side, linkId: anchor.link };
  const action = `attach to ${describe(target)}`;
  return withHook(target, action, (cgroup) =>
    attempt({ action, code: "ATTACH_FAILED", explain: (sys) => explainAttach(sys, cgroup, target) }, () =>
      createCgroupLink(program, { cgroup: cgroup.fd, attachType, beside, revision }),
    ),
  );
}

function explainAttach(sys: SysFailure, cgroup: OpenCgroup, { attachType }: CgroupAttach): Meaning | null {
  switch (sys.name) {
    case "ESTALE":
      return { code: "HOOK_CHANGED", reason: "another process changed the programs of the cgroup" };
    case "ENOENT":
      return { code: "HOOK_CHANGED", reason: "its neighbour in the cgroup is gone" };
    case "ENODEV":
      return GONE;
    case "E2BIG":
      return { code: "ATTACH_FAILED", reason: "it has 64 programs of that type, as many as the kernel allows" };
    case "EPERM": {
      const found = exclusive(cgroup.path, attachType);
      if (found === null) return null;
      return {
        code: "HOOK_BUSY",
        reason: `program ${found.program} is attached to "${found.path}" without BPF_F_ALLOW_MULTI, and the kernel lets no other beside it`,
        hint: `detach it with the tool that attached it; see "bpftool cgroup show ${found.path}"`,
        details: { program_id: found.program, cgroup: found.path },
      };
    }
    default:
      return null;
  }
}

interface Exclusive {
  readonly path: string;
  readonly program: number;
}

/** The program that lets no other beside it, on this cgroup or, unless it may be overridden, on one above it. */
function exclusive(path: string, attachType: CgroupHook["attachType"]): Exclusive | null {
  for (let at = path; at.startsWith("/"); at = at.slice(0, at.lastIndexOf("/"))) {
    const found = lookAt(at, attachType);
    if (found === null) return null;
    if (found.multi) {
      if (at !== path) return null;
      continue;
    }
    const [first] = found.programIds;
    if (first !== undefined && (at === path || !found.override)) return { path: at, program: first };
    if (first !== undefined) return null;
  }
  return null;
}

/** Null above the root of the hierarchy. */
function lookAt(path: string, attachType: CgroupHook["attachType"]) {
  try {
    return withCgroup(path, ({ fd }) => queryCgroup(fd, attachType));
  } catch {
    return null;
  }
}
