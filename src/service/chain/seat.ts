/** How a dispatcher is attached to its hook: by a link for XDP, by a filter for TC. */
import type { XdpMode } from "../../domain/config.ts";
import type { DispatcherRecord, DispatcherSeat, FilterRef } from "../../domain/dispatcher.ts";
import type { ProgramId } from "../../domain/ids.ts";
import { linkPin, type Pin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { AttachedLink, TcHook } from "../../platform/kernel.ts";
import type { Context } from "../operation.ts";
import { openIfOwn, removePins } from "../own-pins.ts";
import { type ChainPlace, kernelHook, placeName } from "./place.ts";

/** Priority of bpfman's filter on clsact, as in the reference implementation. */
const TC_PRIORITY = 50;
/** How many handles are tried for a new filter before the hook is considered full of other filters. */
const TC_HANDLES_MAX = 64;

export interface Seat {
  /** Attaches a program to the free hook. */
  occupy(program: Pin): DispatcherSeat;
  /** Replaces `old` with `next` without a gap. */
  swap(old: Pin, next: Pin): void;
  /**
   * Returns the program on the hook; null if there is none any more. For XDP, that is the program of bpfman's link; a
   * TC filter can have been replaced by anybody.
   */
  running(): ProgramId | null;
  /** Detaches from the hook if `running` shows bpfman's program. */
  leave(): void;
}

export function seatOf(host: Host, { record, ...parts }: SeatParts): Seat {
  return record.type === "xdp" ? xdpSeat(host, { record, ...parts }) : tcSeat(host, { record, ...parts });
}

type XdpRecord = Extract<DispatcherRecord, { type: "xdp" }>;
type TcRecord = Exclude<DispatcherRecord, { type: "xdp" }>;

export interface SeatParts {
  readonly place: ChainPlace;
  readonly record: DispatcherRecord;
  readonly context: Context;
  /** The mode that was asked for. */
  readonly mode?: XdpMode | null;
}

function xdpSeat(
  host: Host,
  { place, record, context, mode: asked }: SeatParts & { readonly record: XdpRecord },
): Seat {
  const path = host.pins.paths.xdpLink(place.key);
  /** A pin at that path is only bpfman's if it was recorded beforehand. */
  const recorded = (): Pin | null => host.store.recordedPins(path)[0] ?? null;
  return {
    occupy(program) {
      const { link, mode } = attachInMode(program);
      try {
        host.store.recordPins([linkPin(path, link.id)]);
        link.pin(path);
      } catch (cause) {
        host.store.forgetPins(path);
        throw cause;
      } finally {
        link.close();
      }
      return { type: record.type, kernelLinkId: link.id, mode };
    },
    swap(old, next) {
      const link = recorded();
      if (link === null) throw new Error(`the XDP link at "${path}" was not recorded`);
      host.kernel.swapProgram(link, { old, next });
    },
    running() {
      const pin = recorded();
      const handle = pin && openIfOwn(host, pin);
      if (handle === null) return null;
      handle.close();
      return handle.kind === "link" ? (host.kernel.link(handle.id)?.programId ?? null) : null;
    },
    leave() {
      const pin = recorded();
      if (pin === null) return;
      removePins(host, [pin]);
      host.store.forgetPins(path);
    },
  };

  /**
   * Uses the mode that was asked for, and no other; else the chain's, or the configured one, which is driver mode by default
   * and generic mode if the driver does not support that.
   */
  function attachInMode(program: Pin): { readonly link: AttachedLink; readonly mode: XdpMode } {
    const hook = kernelHook(host, place);
    const configured = host.config.interfaces.get(place.interface)?.xdpMode ?? null;
    const wanted = asked ?? record.mode ?? configured ?? "drv";
    try {
      return { link: host.kernel.attachXdp(program, { ...hook, mode: wanted }), mode: wanted };
    } catch (cause) {
      const isRefused = cause instanceof BpfmanError && cause.code === "KERNEL_UNSUPPORTED";
      const fallBack = isRefused && wanted === "drv" && asked !== "drv";
      if (!fallBack) throw cause;
      context.log.warn("the driver does not support XDP; using generic mode", { interface: place.interface });
      return { link: host.kernel.attachXdp(program, { ...hook, mode: "skb" }), mode: "skb" };
    }
  }
}

function tcSeat(host: Host, { place, record }: { readonly place: ChainPlace; readonly record: TcRecord }): Seat {
  const { type, filter } = record;
  return {
    occupy(program) {
      host.kernel.attachTc(program, kernelHook(host, place), filter);
      return { type, filter };
    },
    swap(old, next) {
      const hook = tcHook(host, place, record);
      const runs = host.kernel.tcFilterProgram(hook, filter);
      // Unlike BPF_LINK_UPDATE, netlink has no conditional replace.
      if (runs !== null && runs !== old.id) throw filterTaken(place, { runs, expected: old.id });
      host.kernel.replaceTc(next, hook, filter);
    },
    running: () => host.kernel.tcFilterProgram(tcHook(host, place, record), filter),
    leave: () => void host.kernel.detachTc(tcHook(host, place, record), filter),
  };
}

/** The hook of a chain, also in a namespace that its path does not lead to, if its filter runs a program of bpfman's there. */
export function tcHook(host: Host, place: ChainPlace, record: DispatcherRecord): TcHook {
  if (record.type === "xdp") return kernelHook(host, place);
  const { filter, revision, pendingRevision } = record;
  const dispatchers = () =>
    [revision, pendingRevision ?? revision].flatMap((number) =>
      host.store.recordedPins(host.pins.paths.revision(record, number)),
    );
  return kernelHook(host, place, (hook) => {
    const runs = host.kernel.tcFilterProgram(hook, filter);
    if (runs === null) return false;
    return host.store.program(runs) !== null || dispatchers().some(({ kind, id }) => kind === "program" && id === runs);
  });
}

const filterTaken = (place: ChainPlace, programs: { readonly runs: number; readonly expected: number }): BpfmanError =>
  new BpfmanError(
    "STATE_CONFLICT",
    `change the chain on ${placeName(place)}: its filter runs program ${programs.runs}, not bpfman's ${programs.expected}`,
    {
      details: { ...place.key, interface: place.interface, ...programs },
      hint: 'another process replaced that program: see "tc filter show"; "bpfman dispatcher delete" makes bpfman forget the chain',
    },
  );

/** Chooses a filter for a hook that has none yet: at bpfman's priority, the first unused handle. */
export function chooseFilter(host: Host, place: ChainPlace): FilterRef | null {
  if (place.key.type === "xdp") return null;
  const hook = kernelHook(host, place);
  for (let handle = 1; handle <= TC_HANDLES_MAX; handle++) {
    const filter = { priority: TC_PRIORITY, handle };
    if (host.kernel.tcFilterProgram(hook, filter) === null) return filter;
  }
  throw new BpfmanError("HOOK_BUSY", `no free filter at priority ${TC_PRIORITY} on ${place.interface}`, {
    details: { interface: place.interface, priority: TC_PRIORITY },
  });
}
