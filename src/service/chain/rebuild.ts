/**
 * Every change of a chain builds a new dispatcher with all members in their slots next to the running one, then swaps
 * the two. At any moment, the hook runs one complete chain: the old one or the new one.
 */
import { tcConfig, xdpConfig } from "../../dispatcher/dispatcher-config.ts";
import type { XdpMode } from "../../domain/config.ts";
import type { DispatcherRecord, DispatcherSeat } from "../../domain/dispatcher.ts";
import type { KernelLinkId, ProgramId } from "../../domain/ids.ts";
import { linkPin, type Pin, programPin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import type { LoadedDispatcher, SlotMember } from "../../platform/kernel.ts";
import type { Context } from "../operation.ts";
import { removeRecorded } from "../own-pins.ts";
import type { Plan } from "../plan.ts";
import type { Member } from "./members.ts";
import { type ChainPlace, placeName } from "./place.ts";
import { chooseFilter, type Seat, seatOf } from "./seat.ts";
import { shapeOf } from "./shape.ts";
import { twinPath } from "./twins.ts";

export interface Change {
  readonly place: ChainPlace;
  /** The desired chain, in order. At least one member. */
  readonly members: readonly Member[];
  /** For XDP hooks: the mode that was asked for. */
  readonly mode?: XdpMode | null;
  /** Row changes that belong in the transaction that makes the new chain current. */
  commit?(): void;
}

/** The pins of a chain on its hook: those of the program and of the members' links. */
interface Paths {
  readonly program: string;
  readonly links: readonly string[];
}

/**
 * If the only member runs directly, there is no directory: its link's pin is the pin of the XDP link, and a TC filter has no
 * pin.
 */
function pathsOf(host: Host, { change, slots, record }: Omit<Making, "paths">): Paths {
  const { place, members } = change;
  const [only] = members;
  if (slots === null && only !== undefined) {
    return { program: only.programPin, links: [place.key.type === "xdp" ? host.pins.paths.xdpLink(place.key) : ""] };
  }
  const directory = host.pins.paths.revision(place.key, record.revision + 1);
  return { program: `${directory}/dispatcher`, links: members.map((_, slot) => `${directory}/link_${slot}`) };
}

/**
 * Builds the chain and puts it on the hook. A failure leaves everything as it was. Throws like {@link shapeOf}, and
 * HOOK_BUSY, INTERFACE_NOT_FOUND.
 */
export async function rebuild(host: Host, change: Change, run: { steps: Plan; context: Context }): Promise<void> {
  const { place, members } = change;
  const { steps, context } = run;
  const { key } = place;
  const before = host.store.dispatcher(key);
  const filter = before === null ? chooseFilter(host, place) : before.type === "xdp" ? null : before.filter;
  const { slots } = await shapeOf(host, { place, members, record: before, filter }, context);
  const record = await steps.step(
    `write revision ${(before?.revision ?? 0) + 1} of ${placeName(place)}`,
    () => host.store.beginRevision(key, { interface: place.interface, netns: place.netns, filter }),
    (_, clean) => {
      if (clean) host.store.abandonRevision(key);
    },
  );
  const paths = pathsOf(host, { change, slots, record });
  const dispatcher = slots === null ? null : await makeDispatcher(host, { change, slots, record, paths }, steps);
  try {
    const seat = seatOf(host, { place, record, context, mode: change.mode ?? null });
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

/** Returns the program of the current revision: the dispatcher, or the only member. Null before the first revision. */
export function currentProgram(host: Host, record: DispatcherRecord): Pin | null {
  if (record.revision === 0 || record.programId === null) return null;
  const path =
    host.store.program(record.programId)?.pinPath ?? `${host.pins.paths.revision(record, record.revision)}/dispatcher`;
  return programPin(path, record.programId);
}

interface Making {
  readonly change: Change;
  /** Null if the only member runs directly. */
  readonly slots: readonly SlotMember[] | null;
  readonly record: DispatcherRecord;
  readonly paths: Paths;
}

/** Loads the dispatcher, puts its members into their slots, and pins everything. */
async function makeDispatcher(
  host: Host,
  { change, slots, record, paths }: Making & { readonly slots: readonly SlotMember[] },
  steps: Plan,
): Promise<LoadedDispatcher> {
  const { key } = change.place;
  const { members } = change;
  const hook = key.type === "xdp" ? "xdp" : "tc";
  const frags = hook === "xdp" && members.every((member) => member.frags);
  const config = hook === "xdp" ? xdpConfig({ members, frags }) : tcConfig({ members });
  const directory = host.pins.paths.revision(key, record.revision + 1);
  // Members that an earlier version loaded as extensions need the attach type of that version's dispatchers.
  const expectedAttachType = hook === "xdp" && members.every((member) => member.extension) ? "XDP" : null;
  const dispatcher = await steps.step("load the dispatcher", () =>
    host.kernel.loadDispatcher({ hook, config, members: slots, frags, expectedAttachType }).catch((cause: unknown) => {
      throw asMember(cause, change);
    }),
  );
  /** The pin of each slot's extension; null for further slots of the same program. */
  const twins = members.map(({ program, extension }, slot) => {
    const isFirst = members.findIndex((member) => member.program === program) === slot;
    return extension || !isFirst ? null : twinPath(directory, program);
  });
  try {
    await steps.step(
      `record the pins in ${directory}`,
      () => {
        const links = paths.links.map((path, slot) => linkPin(path, dispatcher.links[slot] as KernelLinkId));
        const extensions = twins.flatMap((path, slot) =>
          path === null ? [] : programPin(path, dispatcher.extensions[slot] as ProgramId),
        );
        host.store.recordPins([programPin(paths.program, dispatcher.program), ...links, ...extensions]);
      },
      () => removeAtRest(host, directory),
    );
    await steps.step(`make directory ${directory}`, () => host.pins.makeDirectory(directory));
    await steps.step("pin the dispatcher", () => dispatcher.pinProgram(paths.program));
    for (const [slot, pin] of paths.links.entries()) {
      await steps.step(`pin slot ${slot}`, () => dispatcher.pinLink(slot, pin));
    }
    for (const [slot, pin] of twins.entries()) {
      if (pin !== null) await steps.step(`pin the twin in slot ${slot}`, () => dispatcher.pinExtension(slot, pin));
    }
    return dispatcher;
  } catch (cause) {
    dispatcher.close();
    throw cause;
  }
}

/** A program that loads may still be rejected as an extension; the verifier's message is then about its twin. */
function asMember(cause: unknown, { place, members }: Change): unknown {
  if (!(cause instanceof BpfmanError) || typeof cause.details.program !== "string") return cause;
  const member = members.find(({ programName }) => programName === cause.details.program);
  if (member === undefined) return cause;
  return cause.with({
    message: `put program ${member.program} into the chain on ${placeName(place)}: ${cause.message}`,
    details: { program_id: member.program, link: member.link },
  });
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
  const pinPath = paths.links[slot] ?? "";
  host.store.moveLink(member.link, { programId: member.program, details, pinPath, kernelLinkId });
}

/** Removes the pins of a revision that is no longer on its hook, once no packet is inside it. */
export function removeAtRest(host: Host, directory: string): void {
  if (host.pins.exists(directory)) host.kernel.waitForRunningPrograms();
  removeRecorded(host, directory);
}

/** Removes the pins of a revision that no longer runs. On failure, the next change removes them. */
function removeRevision(host: Host, record: DispatcherRecord, context: Context): void {
  if (record.revision === 0) return;
  try {
    removeAtRest(host, host.pins.paths.revision(record, record.revision));
  } catch (cause) {
    context.log.warn("an old revision could not be removed", { reason: reasonOf(cause) });
  }
}
