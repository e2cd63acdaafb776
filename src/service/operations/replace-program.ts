import type { ReplaceAnswer } from "../../domain/answer.ts";
import { type ProgramId, programId } from "../../domain/ids.ts";
import { capabilitiesOf, factsOf } from "../../domain/kinds.ts";
import { isChained, type LinkRecord, placeInBrief } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { programAnswer } from "../../inspect/program-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { Sources } from "../../platform/runtime.ts";
import { hasLostHook } from "../chain/place.ts";
import { mapsInUse } from "../load/shared-maps.ts";
import { oneChange, type Parts } from "../one-change.ts";
import { type Context, operation } from "../operation.ts";
import { mapUsers } from "../removal/map-users.ts";
import { removeProgram, requireNotReplaced, requireOwnPins } from "../removal/remove-program.ts";
import { move, type Places, unitName, unitsOf, wayOf } from "../replace/move-links.ts";
import { programIdOf, requireProgram } from "../require-record.ts";
import { type ReplaceProgramRequest, replaceProgramRequest } from "../requests/replace-request.ts";
import { fetchImage, type LoadInput, type LoadPlan, planLoad } from "./load.ts";

interface ReplaceInput extends Pick<ReplaceProgramRequest, "programIds" | "maps"> {
  readonly load: LoadInput;
}

async function prepare(sources: Sources, request: ReplaceProgramRequest, context: Context): Promise<ReplaceInput> {
  const { programIds, maps, ...given } = request;
  const rest = { programs: [], metadata: {}, application: null, mapOwnerId: null, maps: {} };
  return { programIds, maps, load: await fetchImage(sources, { ...given, ...rest }, context) };
}

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

/** What programs of one load have in common. */
const loadOf = ({ mapPinPath, metadata, globals }: ProgramRecord): string =>
  JSON.stringify([mapPinPath, metadata, Object.entries(globals).map(([name, bytes]) => [name, bytes.toHex()])]);

function groupsOf(host: Host, input: ReplaceInput, context: Context): Group[] {
  const ids = new Set(input.programIds.map((named) => programIdOf(host, named, context)));
  const groups: ProgramRecord[][] = [];
  for (const id of ids) {
    const old = requireProgram(host, id);
    context.requireCapabilities(capabilitiesOf(old.type), `replacing ${factsOf(old.type).display} program`);
    const same = groups.find((group) =>
      group.every((other) => loadOf(other) === loadOf(old) && other.name !== old.name),
    );
    if (same === undefined) groups.push([old]);
    else same.push(old);
  }
  return groups.map((olds) => ({ olds, planned: planGroup(host, input, olds, context) }));
}

function planGroup(
  host: Host,
  { load, maps }: ReplaceInput,
  olds: readonly ProgramRecord[],
  context: Context,
): LoadPlan {
  const [first] = olds as [ProgramRecord];
  const programs = olds.map(({ name, type, attachFunction }) => ({ name, type, attachFunction, actualType: type }));
  const kept = maps === "keep" ? { owner: first.id, pins: mapsInUse(host, first) } : null;
  try {
    const planned = planLoad(host, { ...load, programs, metadata: first.metadata, kept }, context);
    return withMaps({ ...planned, globals: globalsOf(first, planned, context) }, first, maps);
  } catch (cause) {
    requireSameType(cause, olds);
    if (!(cause instanceof BpfmanError) || cause.code !== "MAP_MISMATCH" || maps === "new") throw cause;
    const hint = 'to start with maps of its own, and without what the old ones hold, give "--maps new"';
    throw cause.with({ hint: `${cause.hint}; ${hint}` });
  }
}

/** What was set stays set, unless it is set again. Throws INVALID_GLOBAL if it does not fit any more. */
function globalsOf(old: ProgramRecord, { globals, object }: LoadPlan, context: Context): LoadPlan["globals"] {
  const sizes = new Map(object.globals.map(({ name, size }) => [name, size]));
  const merged = new Map(globals);
  for (const [name, bytes] of Object.entries(old.globals)) {
    if (merged.has(name)) continue;
    const size = sizes.get(name);
    if (size === undefined) {
      context.log.warn(`global variable "${name}", which was set for program ${old.id}, is not in the new object`);
    } else if (size === bytes.length) merged.set(name, bytes);
    else {
      throw new BpfmanError(
        "INVALID_GLOBAL",
        `global variable "${name}" was set to ${bytes.length} bytes for program ${old.id}, and has ${size} in the new object`,
        { details: { global: name, program_id: old.id, size }, hint: `set it anew: --set ${name}=VALUE` },
      );
    }
  }
  return merged;
}

/** BPF_MAP_TYPE_PROG_ARRAY (include/uapi/linux/bpf.h). */
const PROGRAM_ARRAY = 3;

/**
 * The new programs share the directory of the old ones' maps. But program arrays that the object fills are its own, or the old
 * programs would call the new ones already.
 */
export function withMaps(planned: LoadPlan, old: ProgramRecord, maps: ReplaceInput["maps"]): LoadPlan {
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

/** Throws STATE_CONFLICT for links that the kernel would swap, and that are no longer where they were. */
function requireAttached(host: Host, links: readonly LinkRecord[]): void {
  const { ofLink } = attachmentsOf(host, { dispatchers: host.store.dispatchers(), links });
  const gone = links.filter((link) => {
    const { details } = link;
    if (wayOf(details) !== "swap" || (isChained(details) && hasLostHook(details))) return false;
    const found = ofLink(link);
    // A chain is put back where somebody took it off.
    return found?.present === false && !(isChained(details) && found.reason === "detached");
  });
  const [first] = gone;
  if (first === undefined) return;
  const ids = gone.map(({ id }) => id);
  throw new BpfmanError(
    "STATE_CONFLICT",
    `replace program ${first.programId}: link ${first.id}, ${placeInBrief(first.details)}, is no longer attached there`,
    { details: { program_id: first.programId, links: ids }, hint: `take it off first: bpfman detach ${ids.join(" ")}` },
  );
}

/** The new object's own words speak of what was asked for, which nobody has typed. */
function requireSameType(cause: unknown, olds: readonly ProgramRecord[]): void {
  if (!(cause instanceof BpfmanError) || cause.code !== "PROGRAM_TYPE_MISMATCH") return;
  const old = olds.find(({ name }) => name === cause.details.program);
  if (old === undefined) return;
  throw cause.with({
    hint: `program ${old.id} is ${factsOf(old.type).display} program, and only one of that type can take its place; for another, load it, attach it, and unload the old one`,
  });
}

/** Gives the links of programs to new ones: all of them, or none. */
async function replace(host: Host, input: ReplaceInput, context: Context): Promise<ReplaceAnswer> {
  const groups = groupsOf(host, input, context);
  const olds = groups.flatMap((group) => group.olds);
  const links = olds.flatMap(({ id }) => host.store.links(id));
  requireMovable(links);
  requireAttached(host, links);
  const users = mapUsers(host);
  for (const old of olds) {
    requireNotReplaced(host, old);
    requireOwnPins(host, old, users);
  }
  context.note({ programs: olds.map(({ id }) => id), links: links.map(({ id }) => id) });

  const pairs = await oneChange(
    host,
    context,
    (parts) => takePlaces(host, groups, parts, context),
    (moved) => settlePlaces(host, moved, input.maps),
  );
  for (const { old } of pairs.toReversed()) await removeReplaced(host, old, context);
  return {
    replaced: pairs.map(({ old, next, planned }) => {
      const its = links.filter(({ programId: id }) => id === old.id);
      const maps = next.maps.flatMap(({ name, pinPath }) => (pinPath === null ? [] : name));
      return {
        old_program_id: old.id,
        program: programAnswer(host, requireProgram(host, next.id), "current"),
        swapped_links: its.filter(({ details }) => wayOf(details) === "swap").map(({ id }) => id),
        overlapped_links: its.filter(({ details }) => wayOf(details) === "beside").map(({ id }) => id),
        kept_maps: maps.filter((name) => planned.maps.reuse.has(name)),
        new_maps: maps.filter((name) => !planned.maps.reuse.has(name)),
      };
    }),
  };
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
export function settlePlaces(host: Host, moved: readonly Pair[], maps: ReplaceInput["maps"]): void {
  for (const { old, next } of moved) host.store.takeOver(old.id, next.id, { maps: maps === "keep" });
  for (const { old } of moved) host.store.setProgramState(old.id, "removing");
  host.store.forgetPins(`${host.pins.paths.root}/links`);
}

/** What fails now is finished by the next command that changes something: nothing runs the program any more. */
export async function removeReplaced(host: Host, old: ProgramRecord, context: Context): Promise<void> {
  const going = { ...context, signal: new AbortController().signal };
  try {
    await removeProgram(host, { record: old, state: "removing" }, mapUsers(host), going);
  } catch (cause) {
    context.log.warn(`program ${old.id} was replaced, and is still there`, { reason: reasonOf(cause) });
  }
}

export const implementation = operation({ request: replaceProgramRequest, prepare, run: replace });
