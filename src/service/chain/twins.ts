/**
 * Members' twins. The kernel accepts only extensions in a dispatcher's slots, and members are programs of their own type, so
 * each has a twin in the chain, which is loaded when the program becomes a member and removed when it leaves.
 */
import type { DispatcherRecord } from "../../domain/dispatcher.ts";
import type { MapId, ProgramId } from "../../domain/ids.ts";
import { type Pin, programPin } from "../../domain/pin.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { readObject, twinBytes } from "../../object/object-file.ts";
import type { Host } from "../../platform/host.ts";
import type { SlotMember, TwinToLoad } from "../../platform/kernel.ts";
import { savedBytecode } from "../saved-bytecode.ts";
import type { Member } from "./members.ts";

/** Path of a program's twin in a revision's directory. */
export const twinPath = (directory: string, program: ProgramId): string => `${directory}/twin_${program}`;

/** Says why a member cannot have a twin, and what to do about it. */
export interface Obstacle {
  readonly member: Member;
  readonly reason: "no extensions" | "no BTF";
}

/** Returns a program's twin in the current revision; null if there is none. */
function twinOf(host: Host, record: DispatcherRecord | null, program: ProgramId): Pin | null {
  if (record === null) return null;
  const directory = host.pins.paths.revision(record, record.revision);
  return host.store.recordedPins(twinPath(directory, program)).find(({ path }) => host.pins.exists(path)) ?? null;
}

/** Returns all maps of a program, from the kernel. */
function mapsOf(host: Host, { id, maps }: ProgramRecord): Map<string, MapId> {
  const used = new Set(host.kernel.program(id)?.mapIds ?? []);
  return new Map(maps.flatMap(({ name, id: map }) => (used.has(map) ? [[name, map] as const] : [])));
}

/** Reads bpfman's copy of the program's object file. Errors name the program. */
function bytecodeOf(host: Host, record: ProgramRecord): Uint8Array {
  const program = record.id;
  try {
    const bytes = savedBytecode(host, record);
    // libbpf trusts what it reads, so the copy is checked again.
    readObject(bytes);
    return bytes;
  } catch (cause) {
    if (!(cause instanceof BpfmanError)) throw cause;
    throw cause.with({
      message: `put program ${program} into a chain, using its saved bytecode: ${cause.message}`,
      details: { program_id: program },
      hint: "load the program again and attach the new one instead",
    });
  }
}

/** Returns what to load for a twin; null for a program without BTF. Throws like {@link bytecodeOf}. */
function twinToLoad(host: Host, member: Member): TwinToLoad | null {
  const bytes = bytecodeOf(host, member.record);
  const made = twinBytes(bytes, member.programName, member.details.kind);
  if (made === null) return null;
  return {
    name: member.programName,
    program: programPin(member.programPin, member.program),
    bytes: made,
    frags: member.frags,
    maps: mapsOf(host, member.record),
  };
}

/** Throws STATE_CONFLICT if a function of the program is replaced: in the twin, it would not be. */
function requireWhole(host: Host, { program }: Member): void {
  const [by] = host.store.programsReplacing(program).flatMap(({ id }) => host.store.links(id));
  if (by?.details.kind !== "freplace") return;
  throw new BpfmanError(
    "STATE_CONFLICT",
    `program ${program} cannot run in a chain: link ${by.id} replaces its function "${by.details.fnName}", which a chain would run as it was`,
    {
      details: { program_id: program, link_id: by.id },
      hint: `detach link ${by.id} first: bpfman detach ${by.id}; or leave program ${program} alone on its hook`,
    },
  );
}

/** Returns what goes into the members' slots: twins of the current revision, or twins to load. */
export async function slotsFor(
  host: Host,
  members: readonly Member[],
  record: DispatcherRecord | null,
): Promise<SlotMember[] | Obstacle> {
  const known = new Map<ProgramId, SlotMember>();
  const slots: SlotMember[] = [];
  for (const member of members) {
    const slot = known.get(member.program) ?? slotFor(host, member, record);
    if (slot === null) return { member, reason: "no BTF" };
    known.set(member.program, slot);
    slots.push(slot);
  }
  const newcomer = members.find((_, index) => "twin" in (slots[index] as SlotMember));
  if (newcomer === undefined || (await host.kernel.feature("ext")).available) return slots;
  return { member: newcomer, reason: "no extensions" };
}

function slotFor(host: Host, member: Member, record: DispatcherRecord | null): SlotMember | null {
  if (member.extension) return { extension: programPin(member.programPin, member.program) };
  const there = twinOf(host, record, member.program);
  if (there !== null) return { extension: there };
  requireWhole(host, member);
  const twin = twinToLoad(host, member);
  return twin && { twin };
}
