/**
 * Every change of a chain builds a new dispatcher with all members in their slots next to the running one, then swaps
 * the two. At any moment, the hook runs one complete chain: the old one or the new one.
 */
import { tcConfig, xdpConfig } from "../../dispatcher/dispatcher-config.ts";
import {
  type ChainMember,
  DISPATCHER_SLOTS,
  type DispatcherRecord,
  type DispatcherSeat,
} from "../../domain/dispatcher.ts";
import type { KernelLinkId } from "../../domain/ids.ts";
import { linkPin, type Pin, programPin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import type { LoadedDispatcher } from "../../platform/kernel.ts";
import type { Context } from "../operation.ts";
import { removeRecorded } from "../own-pins.ts";
import type { Plan } from "../plan.ts";
import type { Member } from "./members.ts";
import { type ChainPlace, placeName } from "./place.ts";
import { chooseFilter, type Seat, seatOf } from "./seat.ts";

export interface Change {
  readonly place: ChainPlace;
  /** The desired chain, in order. At least one member. */
  readonly members: readonly Member[];
  /** Row changes that belong in the transaction that makes the new chain current. */
  commit?(): void;
}

/** The pins of a chain that is on its hook: the program, and the members' links. */
interface Paths {
  readonly program: string;
  readonly links: readonly string[];
}

/**
 * On kernels without extension programs, the single member runs directly. It has no revision directory; its link's pin
 * is the XDP link's, and a TC filter has none.
 */
const isDirect = (members: readonly ChainMember[]): boolean => members.length === 1 && members[0]?.chained === false;

function pathsOf(host: Host, { place, members }: Change, revision: number): Paths {
  const [only] = members;
  if (only !== undefined && isDirect(members)) {
    return { program: only.programPin, links: [place.key.type === "xdp" ? host.pins.paths.xdpLink(place.key) : ""] };
  }
  const folder = host.pins.paths.revision(place.key, revision);
  return { program: `${folder}/dispatcher`, links: members.map((_, slot) => `${folder}/link_${slot}`) };
}

/** Checks that the members can run together on a hook. Throws DISPATCHER_FULL, KERNEL_UNSUPPORTED. Changes nothing. */
export function requireFit(place: ChainPlace, members: readonly ChainMember[]): void {
  const where = placeName(place);
  if (members.length > DISPATCHER_SLOTS) {
    throw new BpfmanError(
      "DISPATCHER_FULL",
      `no free dispatcher slots on ${where} (all ${DISPATCHER_SLOTS} occupied)`,
      {
        details: { ...place.key, interface: place.interface, slots: DISPATCHER_SLOTS },
      },
    );
  }
  if (members.length > 1 && members.some((member) => !member.chained)) {
    // The one attached first, since IDs ascend.
    const holder = members.toSorted((a, b) => a.link - b.link)[0] as ChainMember;
    const kind = place.key.type === "xdp" ? "XDP" : "TC";
    throw new BpfmanError(
      "KERNEL_UNSUPPORTED",
      `${where} already runs ${kind} program ${holder.program} as link ${holder.link}, and this kernel cannot chain`,
      {
        details: { ...place.key, interface: place.interface },
        hint: "chaining needs extension programs (BPF_PROG_TYPE_EXT), which this kernel does not support; detach the other program first",
      },
    );
  }
}

/** Builds the chain and puts it on the hook. On failure, everything is restored. */
export async function rebuild(host: Host, change: Change, run: { steps: Plan; context: Context }): Promise<void> {
  const { place, members } = change;
  const { steps, context } = run;
  const { key } = place;
  const before = host.store.dispatcher(key);
  const filter = before === null ? chooseFilter(host, place) : before.type === "xdp" ? null : before.filter;
  const record = await steps.step(
    `write revision ${(before?.revision ?? 0) + 1} of ${placeName(place)}`,
    () => host.store.beginRevision(key, { interface: place.interface, netns: place.netns, filter }),
    (_, clean) => {
      if (clean) host.store.abandonRevision(key);
    },
  );
  const paths = pathsOf(host, change, record.revision + 1);
  const dispatcher = isDirect(members) ? null : await makeDispatcher(host, { change, record, paths }, steps);
  try {
    const seat = seatOf(host, { place, record, context });
    const running = dispatcher?.program ?? (members[0] as Member).program;
    const next = programPin(paths.program, running);
    const old = currentProgram(host, record);
    const occupied = await steps.step(
      `put the chain on ${placeName(place)}`,
      () => takeSeat(seat, { old, next, record }),
      () => (old === null ? seat.leave() : seat.swap(next, old)),
    );
    const linkIds = dispatcher?.links ?? [occupied.type === "xdp" ? occupied.kernelLinkId : null];
    await steps.step("finish the rows", () =>
      host.store.transaction(() => {
        host.store.settleRevision(key, { seat: occupied, revision: record.revision + 1, programId: running });
        members.forEach((member, slot) =>
          moveMember(host, member, { slot, paths, kernelLinkId: linkIds[slot] ?? null }),
        );
        change.commit?.();
      }),
    );
  } finally {
    dispatcher?.close();
  }
  removeRevision(host, record, context);
}

/**
 * Returns the program of the settled revision: the dispatcher, or the only member if the kernel cannot chain. Null if
 * there is no settled revision.
 */
export function currentProgram(host: Host, record: DispatcherRecord): Pin | null {
  if (record.revision === 0 || record.programId === null) return null;
  const path =
    host.store.program(record.programId)?.pinPath ?? `${host.pins.paths.revision(record, record.revision)}/dispatcher`;
  return programPin(path, record.programId);
}

interface Making {
  readonly change: Change;
  readonly record: DispatcherRecord;
  readonly paths: Paths;
}

/** Loads the dispatcher with its members in their slots, and pins everything. */
async function makeDispatcher(host: Host, { change, record, paths }: Making, steps: Plan): Promise<LoadedDispatcher> {
  const { key } = change.place;
  const { members } = change;
  const hook = key.type === "xdp" ? "xdp" : "tc";
  const frags = hook === "xdp" && members.every((member) => member.frags);
  const config = hook === "xdp" ? xdpConfig({ members, frags }) : tcConfig({ members });
  const folder = host.pins.paths.revision(key, record.revision + 1);
  const pins = members.map((member) => programPin(member.programPin, member.program));
  const dispatcher = await steps.step("load the dispatcher", () =>
    host.kernel.loadDispatcher({ hook, config, members: pins, frags }),
  );
  try {
    await steps.step(
      `record the pins in ${folder}`,
      () => {
        const links = paths.links.map((path, slot) => linkPin(path, dispatcher.links[slot] as KernelLinkId));
        host.store.recordPins([programPin(paths.program, dispatcher.program), ...links]);
      },
      () => removeAtRest(host, folder),
    );
    await steps.step(`make directory ${folder}`, () => host.pins.makeFolder(folder));
    await steps.step("pin the dispatcher", () => dispatcher.pinProgram(paths.program));
    for (const [slot, pin] of paths.links.entries()) {
      await steps.step(`pin slot ${slot}`, () => dispatcher.pinLink(slot, pin));
    }
    return dispatcher;
  } catch (cause) {
    dispatcher.close();
    throw cause;
  }
}

function takeSeat(seat: Seat, parts: { old: Pin | null; next: Pin; record: DispatcherRecord }): DispatcherSeat {
  const { old, next, record } = parts;
  if (old === null) return seat.occupy(next);
  seat.swap(old, next);
  return record;
}

interface NewPlace {
  readonly slot: number;
  readonly paths: Paths;
  readonly kernelLinkId: KernelLinkId | null;
}

function moveMember(host: Host, member: Member, { slot, paths, kernelLinkId }: NewPlace): void {
  const { priority, proceedOn } = member;
  const details = { ...member.details, priority, proceedOn, position: slot };
  host.store.moveLink(member.link, { details, pinPath: paths.links[slot] ?? "", kernelLinkId });
}

/** Removes the pins of a revision that is off its hook, once no packet is in it. */
export function removeAtRest(host: Host, folder: string): void {
  if (host.pins.exists(folder)) host.kernel.waitForRunningPrograms();
  removeRecorded(host, folder);
}

/** Removes the pins of a revision that no longer runs. On failure, the next change removes them. */
export function removeRevision(host: Host, record: DispatcherRecord, context: Context): void {
  if (record.revision === 0) return;
  try {
    removeAtRest(host, host.pins.paths.revision(record, record.revision));
  } catch (cause) {
    context.log.warn("an old revision could not be removed", { reason: reasonOf(cause) });
  }
}
