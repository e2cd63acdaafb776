/** The steps by which programs take the places of others: of `program replace`, and of an `apply`. */
import { type ProgramId, programId } from "../../domain/ids.ts";
import { factsOf } from "../../domain/kinds.ts";
import type { LinkRecord } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import type { Parts } from "../one-change.ts";
import type { Context } from "../operation.ts";
import type { LoadPlan } from "../operations/load.ts";
import { mapUsers } from "../removal/map-users.ts";
import { removeProgram } from "../removal/remove-program.ts";
import { requireProgram } from "../require-record.ts";
import type { ReplaceProgramRequest } from "../requests/replace-request.ts";
import { move, type Places, unitName, unitsOf, wayOf } from "./move-links.ts";

/** Programs that are loaded at once, since they were, and what takes their place. */
export interface Group {
  readonly olds: readonly ProgramRecord[];
  readonly planned: LoadPlan;
}

/** A program and what takes its place. */
export interface Pair {
  readonly old: ProgramRecord;
  readonly next: ProgramRecord;
  readonly planned: LoadPlan;
}

/** BPF_MAP_TYPE_PROG_ARRAY (include/uapi/linux/bpf.h). */
const PROGRAM_ARRAY = 3;

/**
 * The new programs share the directory of the old ones' maps. But program arrays that the object fills are its own, or the old
 * programs would call the new ones already.
 */
export function withMaps(planned: LoadPlan, old: ProgramRecord, maps: ReplaceProgramRequest["maps"]): LoadPlan {
  if (maps === "new") return planned;
  const filled = [...planned.forLibbpf.along.values()].some((names) => names.length > 0);
  const arrays = planned.object.maps.filter(({ type }) => type === PROGRAM_ARRAY).map(({ name }) => name);
  if (!filled || arrays.length === 0) return { ...planned, requestedOwner: directoryOwner(old) };
  const reuse = new Map([...planned.maps.reuse].filter(([name]) => !arrays.includes(name)));
  return { ...planned, maps: { ...planned.maps, reuse } };
}

/** The program after whom the directory of the maps is named, which may have gone. */
const directoryOwner = ({ mapPinPath }: ProgramRecord): ProgramId =>
  programId(Number(mapPinPath.slice(mapPinPath.lastIndexOf("/") + 1)));

/** Throws what speaks against giving other programs to these links, before anything changes. */
export function requireMovable(links: readonly LinkRecord[]): void {
  const stuck = links.find(({ details }) => wayOf(details) === "never");
  if (stuck === undefined) return;
  throw new BpfmanError(
    "NOT_SUPPORTED",
    `replace program ${stuck.programId}: the kernel can neither swap the program of ${factsOf(stuck.details.kind).display} link, nor run two there`,
    {
      details: { program_id: stuck.programId, link_id: stuck.id },
      hint: `load the new program, then "bpfman detach ${stuck.id}" and attach the new one`,
    },
  );
}

/** Loads what takes the places of programs, and gives it their links. */
export async function takePlaces(
  host: Host,
  groups: readonly Group[],
  { steps, load, undoing }: Parts,
  context: Context,
): Promise<Pair[]> {
  const links = groups.flatMap(({ olds }) => olds.flatMap(({ id }) => host.store.links(id)));
  const loaded: Pair[] = [];
  for (const { olds, planned } of groups) {
    const { programs } = await load(planned);
    const ids = programs.flatMap(({ record }) => record?.program_id ?? []);
    loaded.push(...olds.map((old, index) => ({ old, next: requireProgram(host, ids[index] as number), planned })));
  }
  await steps.step(
    "say which takes whose place",
    () => host.store.transaction(() => loaded.forEach(({ old, next }) => host.store.addSuccessor(old.id, next.id))),
    (_, clean) => {
      if (clean) host.store.transaction(() => loaded.forEach(({ old }) => host.store.dropSuccessor(old.id)));
    },
  );
  const there: Places = new Map(loaded.map(({ old, next }) => [old.id, next]));
  const back: Places = new Map(loaded.map(({ old, next }) => [next.id, old]));
  for (const unit of unitsOf(links)) {
    await steps.step(
      `move ${unitName(unit)}`,
      () => move(host, unit, there, context),
      () => move(host, unit, back, undoing),
    );
  }
  return loaded;
}

/** In the transaction that finishes the change. The old programs are then to be removed. */
export function settlePlaces(host: Host, moved: readonly Pair[], maps: ReplaceProgramRequest["maps"]): void {
  for (const { old, next } of moved) host.store.takeOver(old.id, next.id, { maps: maps === "keep" });
  for (const { old } of moved) host.store.setProgramState(old.id, "removing");
  host.store.forgetPins(`${host.pins.paths.root}/links`);
}

/** What fails now is finished by the next command that changes something: nothing runs the program any more. */
export async function removeReplaced(host: Host, old: ProgramRecord, context: Context): Promise<void> {
  const going = { ...context, signal: new AbortController().signal };
  try {
    await removeProgram(host, { record: old, state: "removing" }, mapUsers(host, [old]), going);
  } catch (cause) {
    context.log.warn(`program ${old.id} was replaced, and is still there`, { reason: reasonOf(cause) });
  }
}
