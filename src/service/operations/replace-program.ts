import type { ReplaceAnswer } from "../../domain/answer.ts";
import { capabilitiesOf, factsOf } from "../../domain/kinds.ts";
import { isChained, type LinkRecord, placeInBrief } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { programAnswer } from "../../inspect/program-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { Sources } from "../../platform/runtime.ts";
import { hasLostHook } from "../chain/place.ts";
import { mapsInUse } from "../load/shared-maps.ts";
import { oneChange } from "../one-change.ts";
import { type Context, operation } from "../operation.ts";
import { mapUsers } from "../removal/map-users.ts";
import { requireNotReplaced, requireOwnPins } from "../removal/remove-program.ts";
import { wayOf } from "../replace/move-links.ts";
import {
  type Group,
  removeReplaced,
  requireMovable,
  settlePlaces,
  takePlaces,
  withMaps,
} from "../replace/take-places.ts";
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

/** What programs can be loaded with: those of one load, and those that were loaded one by one to share maps. */
const settingOf = ({ mapPinPath, metadata, globals }: ProgramRecord): string =>
  JSON.stringify([mapPinPath, metadata, Object.entries(globals).map(([name, bytes]) => [name, bytes.toHex()])]);

function groupsOf(host: Host, input: ReplaceInput, context: Context): Group[] {
  const ids = new Set(input.programIds.map((named) => programIdOf(host, named, context)));
  const groups: ProgramRecord[][] = [];
  for (const id of ids) {
    const old = requireProgram(host, id);
    context.requireCapabilities(capabilitiesOf(old.type), `replacing ${factsOf(old.type).display} program`);
    const same = groups.find((group) =>
      group.every((other) => settingOf(other) === settingOf(old) && other.name !== old.name),
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
        program: programAnswer(host, requireProgram(host, next.id)),
        swapped_links: its.filter(({ details }) => wayOf(details) === "swap").map(({ id }) => id),
        overlapped_links: its.filter(({ details }) => wayOf(details) === "beside").map(({ id }) => id),
        kept_maps: maps.filter((name) => planned.maps.reuse.has(name)),
        new_maps: maps.filter((name) => !planned.maps.reuse.has(name)),
      };
    }),
  };
}

export const implementation = operation({ request: replaceProgramRequest, prepare, run: replace });
