import { withNetns } from "../../../ffi/safe/netns.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import {
  allFilters,
  clsactKind,
  createClsact,
  deleteBpfFilter,
  filtersBeside,
  setBpfFilter,
  type TcFilter,
  type TcFilterPlace,
} from "../../../ffi/safe/traffic-control.ts";
import type { FilterRef } from "../../domain/dispatcher.ts";
import { type ProgramId, programId } from "../../domain/ids.ts";
import type { Pin } from "../../domain/pin.ts";
import { BpfmanError, type SysFailure } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { TcHook } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { commandFor, describeInterface, explainHook, unlessGone } from "./interface-hook.ts";
import { withPinned } from "../pin.ts";

const placeOf = (hook: TcHook, filter: FilterRef): TcFilterPlace => ({
  ifindex: hook.ifindex,
  side: hook.direction,
  ...filter,
});

const describeFilter = (hook: TcHook, { priority, handle }: FilterRef): string =>
  `filter ${handle} at priority ${priority} on TC ${hook.direction} of ${describeInterface(hook)}`;

/** Creates clsact in the hook's namespace if it is missing. Throws STATE_CONFLICT if `ingress` takes its place. */
function ensureClsact(hook: TcHook, action: string): void {
  const { ifindex } = hook;
  let kind = clsactKind(ifindex);
  if (kind === null) {
    try {
      createClsact(ifindex);
      return;
    } catch (thrown) {
      if (sysFailure(thrown)?.name !== "EEXIST") throw thrown;
      // Another process created it first.
      kind = clsactKind(ifindex);
    }
  }
  if (kind === "clsact") return;
  throw new BpfmanError("STATE_CONFLICT", `${action}: the interface has an ${kind} qdisc where clsact belongs`, {
    hint: `another program uses it; ${commandFor(hook, (name) => `tc qdisc del dev ${name} ${kind}`)} removes it with its filters`,
    details: { qdisc: kind },
  });
}

/** Explains what is in the way: a filter at the same place, or one at that priority that excludes a cls_bpf filter. */
function explainOccupied(hook: TcHook, found: readonly TcFilter[], { priority, handle }: FilterRef): Meaning | null {
  const other = found.find((filter) => filter.handle === handle) ?? found[0];
  if (other === undefined) return null;
  const { kind, programId: program, name } = other;
  const what = program === null ? `a ${kind} filter` : `program ${program} "${name ?? ""}"`;
  return {
    code: "HOOK_BUSY",
    reason: `${what} is already at that priority`,
    hint: `see ${commandFor(hook, (dev) => `tc filter show dev ${dev} ${hook.direction}`)}; give that filter another priority than ${priority}`,
    details: { kind, priority, handle: other.handle, program, name },
  };
}

/** Throws HOOK_BUSY, STATE_CONFLICT, INTERFACE_NOT_FOUND, NETNS_NOT_FOUND, ATTACH_FAILED. */
export function attachTc(program: Pin, hook: TcHook, filter: FilterRef): void {
  const action = `make ${describeFilter(hook, filter)}`;
  const place = placeOf(hook, filter);
  // EEXIST: the filter exists. EINVAL: other filters of this priority have another kind, or are for one protocol.
  const explain = (sys: SysFailure): Meaning | null => {
    if (sys.name !== "EEXIST" && sys.name !== "EINVAL") return explainHook(sys);
    const occupied = unlessGone(hook, () => explainOccupied(hook, filtersBeside(place), filter));
    return occupied ?? explainHook(sys);
  };
  withPinned(action, program, (fd) => {
    const { name } = programInfo(fd);
    attempt({ action, code: "ATTACH_FAILED", explain }, () =>
      withNetns(hook.netns, () => {
        ensureClsact(hook, action);
        setBpfFilter(place, { fd, name }, "create");
      }),
    );
  });
}

/** Throws STATE_CONFLICT if the filter does not exist, INTERFACE_NOT_FOUND, NETNS_NOT_FOUND, ATTACH_FAILED. */
export function replaceTc(program: Pin, hook: TcHook, filter: FilterRef): void {
  const action = `replace the program of ${describeFilter(hook, filter)}`;
  const explain = (sys: SysFailure): Meaning | null => {
    if (sys.call !== "open" && sys.name === "ENOENT") return { code: "STATE_CONFLICT", reason: "it has gone" };
    if (sys.call === "setns" || sys.name !== "EINVAL" || tcFilterProgram(hook, filter) !== null)
      return explainHook(sys);
    return { code: "STATE_CONFLICT", reason: "it has gone" };
  };
  withPinned(action, program, (fd) => {
    const { name } = programInfo(fd);
    attempt({ action, code: "ATTACH_FAILED", explain }, () =>
      withNetns(hook.netns, () => setBpfFilter(placeOf(hook, filter), { fd, name }, "replace")),
    );
  });
}

/** Returns null if filter, qdisc, interface or namespace do not exist, or the filter does not run an eBPF program. */
export function tcFilterProgram(hook: TcHook, filter: FilterRef): ProgramId | null {
  const place = placeOf(hook, filter);
  return attempt({ action: `read ${describeFilter(hook, filter)}`, code: "KERNEL_CALL_FAILED" }, () => {
    const found = unlessGone(hook, () => filtersBeside(place)) ?? [];
    const id = found.find(({ handle }) => handle === filter.handle)?.programId ?? null;
    return id === null ? null : programId(id);
  });
}

/**
 * Reports whether other filters come after ours. Filters of the same priority count, whether before or after ours. Returns
 * false if the qdisc, interface or namespace does not exist.
 */
export function hasTcFilterBehind(hook: TcHook, filter: FilterRef): boolean {
  const action = `look for filters behind ${describeFilter(hook, filter)}`;
  return attempt({ action, code: "KERNEL_CALL_FAILED" }, () => {
    const found = unlessGone(hook, () => allFilters({ ifindex: hook.ifindex, side: hook.direction })) ?? [];
    return found.some(
      ({ priority, handle }) =>
        priority > filter.priority || (priority === filter.priority && handle !== filter.handle),
    );
  });
}

/** Returns false if the filter, qdisc, interface or namespace does not exist. */
export function detachTc(hook: TcHook, filter: FilterRef): boolean {
  const place = placeOf(hook, filter);
  return attempt({ action: `delete ${describeFilter(hook, filter)}`, code: "KERNEL_CALL_FAILED" }, () => {
    const deleted = unlessGone(hook, () => {
      if (!filtersBeside(place).some(({ kind, handle }) => kind === "bpf" && handle === filter.handle)) return false;
      deleteBpfFilter(place);
      return true;
    });
    return deleted ?? false;
  });
}
