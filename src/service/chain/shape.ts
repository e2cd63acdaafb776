/** Decides how the members of a hook run: the only one directly, or all of them in a dispatcher. */
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { DISPATCHER_SLOTS, type DispatcherRecord, type FilterRef } from "../../domain/dispatcher.ts";
import type { ChainedKind } from "../../domain/kinds.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { SlotMember } from "../../platform/kernel.ts";
import type { Context } from "../operation.ts";
import type { Member } from "./members.ts";
import { type ChainPlace, kernelHook, placeName } from "./place.ts";
import { tcHook } from "./seat.ts";
import { type Obstacle, slotsFor } from "./twins.ts";

/** `slots` is null if the only member runs directly. */
export interface Shape {
  readonly slots: readonly SlotMember[] | null;
}

/**
 * If a chain of one proceeds only on these actions, its verdict has the same effect as the program's own: XDP_PASS, and for
 * TC whatever lets the packet through if no other filter comes after it. Any other action becomes XDP_PASS or TC_ACT_OK
 * only with a dispatcher.
 */
const SAME_ALONE: Readonly<Record<ChainedKind, readonly number[]>> = {
  xdp: [XDP_ACTIONS.pass, XDP_ACTIONS.dispatcher_return],
  tc: [TC_ACTIONS.ok, TC_ACTIONS.pipe, TC_ACTIONS.unspec, TC_ACTIONS.dispatcher_return],
};

interface Wanted {
  readonly place: ChainPlace;
  /** At least one, in order. */
  readonly members: readonly Member[];
  /** The chain that is currently on the hook. */
  readonly record: DispatcherRecord | null;
  /** For TC hooks only. */
  readonly filter: FilterRef | null;
}

/**
 * Changes nothing. Throws if the members cannot run together: DISPATCHER_FULL, KERNEL_UNSUPPORTED (no extension programs),
 * INVALID_PROGRAM (no BTF), STATE_CONFLICT (a member that an earlier version loaded).
 */
export async function shapeOf(host: Host, wanted: Wanted, context: Context): Promise<Shape> {
  const { place, members, record } = wanted;
  if (members.length > DISPATCHER_SLOTS) throw full(place);
  const [only] = members;
  const alone = members.length === 1 && only?.extension === false ? only : null;
  if (alone !== null && runsAsWellAlone(host, wanted, alone)) return { slots: null };
  requireOneAge(place, members);
  const slots = await slotsFor(host, members, record);
  if (!("reason" in slots)) return { slots };
  if (alone === null) throw cannotChain(place, members, slots);
  if (!endsTheSame(alone)) {
    const why = slots.reason === "no BTF" ? "it was compiled without BTF" : "this kernel has no extension programs";
    const what = `program ${alone.program} runs on ${placeName(place)} without a dispatcher, so its proceed-on has no effect`;
    context.log.warn(what, { reason: why });
  }
  return { slots: null };
}

const endsTheSame = ({ details, proceedOn }: Member): boolean =>
  proceedOn.every((value) => SAME_ALONE[details.kind].includes(value));

function runsAsWellAlone(host: Host, { place, record, filter }: Wanted, member: Member): boolean {
  if (host.config.dispatcher.alone === "chain" || !endsTheSame(member)) return false;
  if (filter === null) return true;
  const hook = record === null ? kernelHook(host, place) : tcHook(host, place, record);
  return !host.kernel.hasTcFilterBehind(hook, filter);
}

const full = (place: ChainPlace): BpfmanError =>
  new BpfmanError(
    "DISPATCHER_FULL",
    `no free dispatcher slots on ${placeName(place)} (all ${DISPATCHER_SLOTS} occupied)`,
    { details: { ...place.key, interface: place.interface, slots: DISPATCHER_SLOTS } },
  );

const kindOf = ({ key }: ChainPlace): string => (key.type === "xdp" ? "XDP" : "TC");

/** The kernel links neither earlier versions' extensions to today's dispatchers nor twins to earlier dispatchers. */
function requireOneAge(place: ChainPlace, members: readonly Member[]): void {
  const old = members.filter(({ extension }) => extension);
  if (old.length === 0 || old.length === members.length) return;
  const programs = [...new Set(old.map(({ program }) => program))].sort((a, b) => a - b);
  throw new BpfmanError(
    "STATE_CONFLICT",
    `an earlier version of bpfman loaded ${kindOf(place)} program ${programs.join(", ")}, which cannot share ${placeName(place)} with programs that this version loaded`,
    {
      details: { ...place.key, interface: place.interface, programs },
      hint: "detach the programs named, then load and attach them again",
    },
  );
}

function cannotChain(place: ChainPlace, members: readonly Member[], { member, reason }: Obstacle): BpfmanError {
  const where = placeName(place);
  const details = { ...place.key, interface: place.interface, program: member.program, link: member.link };
  if (reason === "no BTF") {
    return new BpfmanError(
      "INVALID_PROGRAM",
      `program ${member.program} "${member.programName}" (link ${member.link}) cannot share ${where} with others: it was compiled without BTF`,
      { details, hint: "compile it with clang -g and load it again; without BTF it can only run alone on a hook" },
    );
  }
  // IDs ascend, so the lowest was there first.
  const holder = members.toSorted((a, b) => a.link - b.link)[0] as Member;
  return new BpfmanError(
    "KERNEL_UNSUPPORTED",
    `${where} already runs ${kindOf(place)} program ${holder.program} as link ${holder.link}, and this kernel cannot chain`,
    {
      details: { ...details, program: holder.program, link: holder.link },
      hint: "detach that program first: chains need extension programs (BPF_PROG_TYPE_EXT), which this kernel does not support",
    },
  );
}
