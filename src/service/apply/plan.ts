/** Compares what documents name with what is there: what an apply has to do. Changes nothing. */
import { ACTIONS, actionName } from "../../domain/actions.ts";
import type { XdpMode } from "../../domain/config.ts";
import type { ProgramId } from "../../domain/ids.ts";
import { factsOf } from "../../domain/kinds.ts";
import { type ChainDetails, isChained, type LinkDetails, type LinkRecord } from "../../domain/link.ts";
import {
  APPLICATION_KEY,
  applicationOf,
  EVERY_PROGRAM,
  type Metadata,
  loadKey,
  NOUN_APPLICATION_KEY,
  type ProgramRecord,
  type ProgramSpec,
} from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import type { Host } from "../../platform/host.ts";
import { placeOf } from "../chain/place.ts";
import { IN_THIS_BOOT, targetOf } from "../attach/target-of.ts";
import type { Context } from "../operation.ts";
import { detailsOfTarget } from "../operations/attach.ts";
import { type LoadInput, type LoadPlan, planLoad } from "../operations/load.ts";
import { type Group, requireMovable, withMaps } from "../replace/take-places.ts";
import { mapsInUse } from "../load/shared-maps.ts";
import { inOrderOfRemoval, requireNotReplaced } from "../removal/remove-program.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { programIdOf } from "../require-record.ts";
import type { DesiredObject, Unit } from "./desired.ts";
import type { AttachmentEntry, ObjectEntry } from "./document.ts";
import { targetsOf } from "./interfaces.ts";
import { documentError, located, type Place } from "./place.ts";

/** A program that a document names. */
export interface Slot {
  readonly object: PlannedObject;
  readonly spec: ProgramSpec;
  readonly attach: readonly Wanted[];
  /** The one that is there; null if it is to be loaded. */
  record: ProgramRecord | null;
}

interface Wanted {
  readonly target: AttachTarget;
  readonly metadata: Metadata;
  readonly place: Place;
}

export interface PlannedObject {
  readonly desired: DesiredObject;
  readonly planned: LoadPlan;
  readonly slots: readonly Slot[];
}

/** What is different, for people: `priority 50 -> 20`. */
export interface Difference {
  readonly what: string;
  readonly from: string | number | null;
  readonly to: string | number | null;
}

/** Why a link is taken away: what it was attached to is gone, or no document names it. */
export type Unneeded = "gone" | "not named any more";

export type Step =
  /** Programs of one object, together. */
  | { readonly do: "load"; readonly slots: readonly Slot[] }
  /** Other bytecode or globals under the links that are there. */
  | { readonly do: "replace"; readonly slots: readonly Slot[]; readonly differences: readonly Difference[] }
  /** Loaded anew beside what is there, with the links that it has: its maps are others. */
  | { readonly do: "reload"; readonly slots: readonly Slot[]; readonly differences: readonly Difference[] }
  | ({ readonly do: "attach"; readonly slot: Slot } & Wanted)
  | {
      readonly do: "update";
      readonly program: string;
      readonly link: LinkRecord;
      readonly priority: number;
      readonly proceedOn: readonly string[];
      readonly differences: readonly Difference[];
    }
  /** The kernel takes a program only once there, so it is detached first. */
  | {
      readonly do: "move";
      readonly program: string;
      readonly link: LinkRecord;
      readonly wasApplied: boolean;
      readonly origin: string;
      readonly target: AttachTarget;
      readonly metadata: Metadata;
      readonly place: Place;
      readonly differences: readonly Difference[];
    }
  | {
      readonly do: "label";
      readonly program: string;
      readonly programId: ProgramId;
      readonly what: "program" | "link";
      readonly id: number;
      readonly before: Metadata;
      readonly metadata: Metadata;
    }
  | { readonly do: "detach"; readonly program: string; readonly link: LinkRecord; readonly reason: Unneeded }
  | { readonly do: "unload"; readonly record: ProgramRecord; readonly links: readonly LinkRecord[] }
  | { readonly do: "nothing"; readonly record: ProgramRecord; readonly link: LinkRecord | null };

export interface PlannedUnit {
  readonly application: string | null;
  readonly steps: readonly Step[];
  /** What belongs to this apply from now on: it was made by an apply of other documents. */
  readonly takenOver: readonly { readonly what: "program" | "link"; readonly id: number; readonly origin: string }[];
}

export interface ApplyPlan {
  readonly units: readonly PlannedUnit[];
  /** Namespaces in which interfaces that come later are to be attached to; null is the caller's own. */
  readonly watched: readonly (string | null)[];
  /** Namespaces that come later may matter as well. */
  readonly watchesNamespaces: boolean;
}

export interface Options {
  /** What the documents came from. */
  readonly origins: ReadonlySet<string>;
  readonly prune: boolean;
  /** Interfaces that are named and are not there may come later. */
  readonly waits: boolean;
}

/** Everything that can be found out without looking at what is there. */
export function planObjects(host: Host, units: readonly Unit[], context: Context): Map<Unit, PlannedObject[]> {
  return new Map(units.map((unit) => [unit, unit.objects.map((desired) => planObject(host, desired, context))]));
}

function planObject(host: Host, desired: DesiredObject, context: Context): PlannedObject {
  const source = desired.source as LoadInput["source"];
  try {
    const planned = planLoad(
      host,
      { ...desired.request, source, mapOwnerId: knownOwner(host, desired, context) },
      context,
    );
    const slots: Slot[] = [];
    const object: PlannedObject = { desired, planned, slots };
    const names = new Map(desired.entry.programs.map((program, at) => [program.name, at]));
    const nameless = desired.entry.programs.findIndex(
      ({ name, attach }) => attach.length > 0 && !planned.specs.some((spec) => spec.name === name),
    );
    if (nameless >= 0) {
      const place = desired.at("programs", nameless, "attach");
      throw documentError(place, `"${EVERY_PROGRAM}" cannot be attached`, "name the programs that are to be attached");
    }
    for (const spec of planned.specs) {
      const at = names.get(spec.name);
      const entries = at === undefined ? [] : (desired.entry.programs[at]?.attach ?? []);
      const attach = entries.map((entry, index) =>
        wanted(spec, entry, desired.at("programs", at ?? 0, "attach", index)),
      );
      slots.push({ object, spec, attach, record: null });
    }
    return object;
  } catch (thrown) {
    throw located(thrown, desired.at(...fieldOf(thrown, desired.entry)));
  }
}

/** Returns the same error with the place in a document that it is about, if the step has one. */
export function locatedStep(thrown: unknown, step: Step): unknown {
  if ("place" in step) return located(thrown, step.place);
  const desired = "slots" in step ? step.slots[0]?.object.desired : undefined;
  return desired === undefined ? thrown : located(thrown, desired.at(...fieldOf(thrown, desired.entry)));
}

/** The field that an error of a load is about. */
function fieldOf(thrown: unknown, { path, globals, programs }: ObjectEntry): readonly PropertyKey[] {
  const { program, global } = thrown instanceof BpfmanError ? thrown.details : {};
  const at = programs.findIndex(({ name }) => name === program);
  if (at >= 0) return ["programs", at, "name"];
  if (typeof global === "string") return [Object.hasOwn(globals, global) ? "globals" : "globalData", global];
  return [path === undefined ? "image" : "path"];
}

/** Throws INVALID_DOCUMENT if a program of that type cannot be attached there. */
function wanted({ name, type }: ProgramSpec, { metadata, ...target }: AttachmentEntry, place: Place): Wanted {
  const { attachKind, display } = factsOf(type);
  if (attachKind === target.kind) return { target: target as AttachTarget, metadata, place };
  const reason = `program "${name}" is ${display} program, which is not attached as "${target.kind}"`;
  throw documentError(
    place,
    reason,
    attachKind === null ? "bpfman only loads it: leave out attach" : `kind is "${attachKind}"`,
  );
}

/** The owner of the maps that it shares, if it is there already. */
function knownOwner(host: Host, { entry, owner, at }: DesiredObject, context: Context): ProgramId | null {
  if (entry.mapOwner === null || owner !== null) return null;
  try {
    return ownMaps(host, programIdOf(host, entry.mapOwner, context));
  } catch (thrown) {
    throw located(thrown, at("mapOwner"));
  }
}

/** The program that owns the maps that a program uses. */
export const ownMaps = (host: Host, id: ProgramId): ProgramId => host.store.program(id)?.mapOwnerId ?? id;

const keyOf = (application: string | null, name: string, type: string): string =>
  JSON.stringify([application, name, type]);

const sameGlobals = (a: ReadonlyMap<string, Uint8Array>, record: ProgramRecord): boolean => {
  const other = Object.entries(record.globals);
  return a.size === other.length && other.every(([name, bytes]) => Buffer.compare(a.get(name) ?? EMPTY, bytes) === 0);
};
const EMPTY = new Uint8Array();

/** Finds the programs that documents name among those that are there. Each is found once. */
function findPrograms(host: Host, objects: readonly PlannedObject[]): void {
  const pool = Map.groupBy(host.store.programs(), ({ metadata, name, type }) =>
    keyOf(applicationOf(metadata), name, type),
  );
  const digests = new Map(objects.map((object) => [object, host.files.digest(object.planned.bytes)]));
  const isExact = ({ object }: Slot, record: ProgramRecord): boolean =>
    record.bytecodeDigest === digests.get(object) && sameGlobals(object.planned.globals, record);
  const isFromThere = ({ object: { planned } }: Slot, record: ProgramRecord): boolean =>
    record.absoluteSourcePath === planned.absoluteSourcePath && record.image?.url === planned.image?.url;
  // What is exactly so first, so that nothing else takes it.
  for (const fits of [isExact, isFromThere, () => true]) {
    for (const { slots, desired } of objects) {
      const together = slots.find(({ record }) => record !== null)?.record ?? null;
      for (const slot of slots) {
        if (slot.record !== null) continue;
        const candidates = pool.get(keyOf(desired.application, slot.spec.name, slot.spec.type)) ?? [];
        const fitting = candidates.filter((record) => fits(slot, record));
        const found =
          fitting.find((record) => together !== null && loadKey(record) === loadKey(together)) ?? fitting[0];
        if (found === undefined) continue;
        slot.record = found;
        candidates.splice(candidates.indexOf(found), 1);
      }
    }
  }
}

/** Returns what an apply has to do. Throws what can be found before the first effect. */
export async function planApply(
  host: Host,
  planned: ReadonlyMap<Unit, readonly PlannedObject[]>,
  options: Options,
  context: Context,
): Promise<ApplyPlan> {
  const objects = [...planned.values()].flat();
  findPrograms(host, objects);
  const state = stateOf(host);
  const finder = targetFinder(host, options.waits);
  const units: PlannedUnit[] = [];
  for (const [unit, ofUnit] of planned) {
    const steps: Step[] = [];
    const takenOver: TakenOver[] = [];
    for (const object of ofUnit) {
      const { steps: own, renewed } = programSteps(host, object, objects, context);
      steps.push(...own);
      for (const slot of object.slots) {
        const wants = slot.attach.flatMap(finder.find);
        steps.push(...(await slotSteps(host, state, { slot, wants, renewed })));
        takenOver.push(...takenOverBy(state, slot));
      }
    }
    units.push({ application: unit.application, steps, takenOver });
  }
  const { watched, watchesNamespaces } = finder.watch();
  return {
    units: options.prune ? withUnloads(host, state, { units, objects, options }) : units,
    watched,
    watchesNamespaces,
  };
}

type TakenOver = PlannedUnit["takenOver"][number];

/** What is attached, and what earlier applies made, each for its document. */
interface State {
  readonly applied: ReturnType<Host["store"]["applied"]>;
  linksOf(record: ProgramRecord): LinkRecord[];
  /** It is not where it was attached any more. */
  isLost(link: LinkRecord): boolean;
}

function stateOf(host: Host): State {
  const links = host.store.links();
  const attachments = attachmentsOf(host, { links, dispatchers: host.store.dispatchers() });
  return {
    applied: host.store.applied(),
    linksOf: ({ id }) => links.filter(({ programId }) => programId === id),
    // Lost, too, is what an interface has taken along into another namespace: there it has no name that a document gave.
    isLost(link) {
      const found = attachments.ofLink(link);
      const hasMoved = link.details.kind === "tcx" && found?.present === true && found.interface === null;
      return found?.present === false || hasMoved;
    },
  };
}

/** Finds the interfaces of attachments, and keeps where others may come later. */
function targetFinder(host: Host, waits: Options["waits"]) {
  const watched = new Set<string | null>();
  let watchesNamespaces = false;
  return {
    find({ target, metadata, place }: Wanted): Wanted[] {
      try {
        const found = targetsOf(host, target, waits);
        if (found.changes && "netns" in target) {
          if (target.netns !== null && /[*?]/.test(target.netns)) watchesNamespaces = true;
          else watched.add(target.netns);
          for (const each of found.targets) if ("netns" in each) watched.add(each.netns);
        }
        return found.targets.map((each) => ({ target: each, metadata, place }));
      } catch (thrown) {
        throw located(thrown, place);
      }
    },
    watch: () => ({ watched: [...watched], watchesNamespaces }),
  };
}

interface Attaching {
  readonly slot: Slot;
  readonly wants: readonly Wanted[];
  /** Its program is replaced, or loaded anew. */
  readonly renewed: boolean;
}

/** The steps for the links of one program. */
async function slotSteps(host: Host, state: State, { slot, wants, renewed }: Attaching): Promise<readonly Step[]> {
  const { record } = slot;
  if (record === null) return wants.map((want) => ({ do: "attach", slot, ...want }) as const);
  const { isLost } = state;
  const there = state.linksOf(record);
  const isMade = (link: LinkRecord): boolean => state.applied.links.has(link.id);
  if (!renewed) return linkSteps(host, { slot, record, wants, there, isMade, isLost });
  const others = there.filter((link) => !isLost(link) && !isMade(link));
  return renewedLinks(slot, wants, others);
}

/** What an apply of another document made, and this one takes over. */
function takenOverBy({ applied, linksOf }: State, { record, object }: Slot): TakenOver[] {
  if (record === null) return [];
  const { origin } = object.desired;
  const isOthers = (from: string | undefined): boolean => from !== undefined && from !== origin;
  const program = isOthers(applied.programs.get(record.id))
    ? [{ what: "program", id: record.id, origin } as const]
    : [];
  const links = linksOf(record).filter(({ id }) => isOthers(applied.links.get(id)));
  return [...program, ...links.map(({ id }) => ({ what: "link", id, origin }) as const)];
}

/** Adds the unloads of what an earlier apply of these documents loaded, and none of them names any more. */
function withUnloads(
  host: Host,
  { applied, linksOf }: State,
  { units, objects, options }: { units: readonly PlannedUnit[]; objects: readonly PlannedObject[]; options: Options },
): PlannedUnit[] {
  const kept = new Set(objects.flatMap(({ slots }) => slots.map(({ record }) => record?.id)));
  const dropped = host.store
    .programs()
    .filter(({ id }) => options.origins.has(applied.programs.get(id) ?? "") && !kept.has(id));
  const all = [...units];
  for (const [application, records] of Map.groupBy(dropped, ({ metadata }) => applicationOf(metadata))) {
    const steps = inOrderOfRemoval(records).map(
      (record) => ({ do: "unload", record, links: linksOf(record) }) as const,
    );
    const at = all.findIndex((unit) => unit.application === application);
    const unit = all[at];
    if (unit === undefined) all.push({ application, steps, takenOver: [] });
    else all[at] = { ...unit, steps: [...unit.steps, ...steps] };
  }
  return all;
}

/**
 * What takes the places of programs, with the maps that they use. Throws like a load, MAP_MISMATCH if a map has another shape
 * now, NOT_SUPPORTED if the kernel cannot give another program to a link, and PROGRAM_IN_USE if functions of one are replaced.
 */
export function replacing(host: Host, slots: readonly Slot[], context: Context): Group[] {
  const groups = Map.groupBy(slots, ({ record }) => record?.mapPinPath);
  return [...groups.values()].map((together) => {
    const olds = together.flatMap(({ record }) => record ?? []);
    const [first] = together as [Slot];
    const [old] = olds as [ProgramRecord];
    const { request, source, at } = first.object.desired;
    requireMovable(olds.flatMap(({ id }) => host.store.links(id)));
    for (const each of olds) requireNotReplaced(host, each);
    const programs = together.map(selectorOf);
    const load = { ...request, programs, source: source as LoadInput["source"], mapOwnerId: null };
    try {
      const kept = { owner: old.id, pins: mapsInUse(host, old) };
      return { olds, planned: withMaps(planLoad(host, { ...load, kept }, context), old, "keep") };
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError) || thrown.code !== "MAP_MISMATCH") throw thrown;
      const hint = `give the map another name, or unload program ${old.id} first: what its maps hold is then lost`;
      throw located(thrown.with({ hint }), at());
    }
  });
}

/** Exactly this program. */
export const selectorOf = ({ spec: { name, type, attachFunction } }: Slot) => ({
  ...{ name, type, attachFunction },
  actualType: type,
});

/** What is to be done with the programs of an object. `renewed`: those that are there are loaded anew. */
function programSteps(
  host: Host,
  object: PlannedObject,
  all: readonly PlannedObject[],
  context: Context,
): { steps: Step[]; renewed: boolean } {
  const { slots } = object;
  const there = slots.filter(({ record }) => record !== null);
  const missing = slots.filter(({ record }) => record === null);
  const bytecode = new Map<string, Difference>();
  const maps = new Map<string, Difference>();
  for (const slot of there) {
    for (const each of bytecodeDifferences(host, slot)) bytecode.set(each.what, each);
    for (const each of mapDifferences(host, slot, all)) maps.set(each.what, each);
  }
  const steps: Step[] = [];
  const renewed = maps.size > 0;
  const differences = [...bytecode.values(), ...maps.values()];
  const isReplaced = !renewed && bytecode.size > 0;
  if (renewed) steps.push({ do: "reload", slots: there, differences });
  else if (isReplaced) {
    // Throws what can be found now.
    replacing(host, there, context);
    steps.push({ do: "replace", slots: there, differences });
  } else {
    for (const { record } of there) if (record !== null) steps.push({ do: "nothing", record, link: null });
  }
  const { metadata } = object.planned;
  for (const { record } of renewed || isReplaced ? [] : there) {
    if (record === null || sameMetadata(record.metadata, metadata)) continue;
    const { id, name, metadata: before } = record;
    steps.push({ do: "label", program: name, programId: id, what: "program", id, before, metadata });
  }
  if (missing.length > 0) steps.push({ do: "load", slots: missing });
  return { steps, renewed };
}

function sameMetadata(a: Metadata, b: Metadata): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function* bytecodeDifferences(host: Host, { object: { planned }, record, spec }: Slot): Iterable<Difference> {
  if (record === null) return;
  const digest = host.files.digest(planned.bytes);
  if (record.bytecodeDigest !== digest) {
    yield { what: "bytecode", from: record.bytecodeDigest?.slice(0, 12) ?? null, to: digest.slice(0, 12) };
  }
  const names = new Set([...planned.globals.keys(), ...Object.keys(record.globals)]);
  for (const name of names) {
    const [from, to] = [record.globals[name]?.toHex() ?? null, planned.globals.get(name)?.toHex() ?? null];
    if (from !== to) yield { what: `global ${name}`, from, to };
  }
  if (record.attachFunction !== spec.attachFunction) {
    yield { what: "function", from: record.attachFunction, to: spec.attachFunction };
  }
}

function* mapDifferences(host: Host, { object, record }: Slot, all: readonly PlannedObject[]): Iterable<Difference> {
  if (record === null) return;
  const { desired, planned } = object;
  const idOf = (name: string) => record.maps.find((map) => map.name === name)?.id ?? null;
  for (const [name, to] of planned.maps.maxEntries) {
    const id = idOf(name);
    const from = id === null ? null : (host.kernel.map(id)?.maxEntries ?? null);
    if (id !== null && from !== to) yield { what: `entries of map ${name}`, from, to };
  }
  for (const name of Object.keys(desired.request.maps)) {
    const [from, to] = [idOf(name), planned.maps.reuse.get(name)?.id ?? null];
    if (from !== null && from !== to) yield { what: `map ${name}`, from, to };
  }
  const from = record.mapOwnerId;
  const to = ownerThere(host, object, all);
  // Programs of one load share the first one's maps without having asked for it; one that joined them later has.
  const joined = object.slots.some((slot) => slot.record?.id === record.requestedMapOwnerId);
  const isOther = to === null ? record.requestedMapOwnerId !== null && !joined : to !== from && to !== record.id;
  if (to === "new" || isOther) {
    yield { what: "owner of maps", from, to };
  }
}

/** The owner of the maps that are to be shared; `new` for one that is loaded first. */
function ownerThere(
  host: Host,
  { desired, planned }: PlannedObject,
  all: readonly PlannedObject[],
): ProgramId | "new" | null {
  if (desired.owner === null) return planned.requestedOwner;
  const record = ownerSlot(desired, all)?.record ?? null;
  return record === null ? "new" : ownMaps(host, record.id);
}

/** Where the program is that owns the maps which an object shares; null if no document names it. */
export function ownerSlot({ owner }: DesiredObject, objects: readonly PlannedObject[]): Slot | null {
  if (owner === null) return null;
  const object = objects.find(({ desired }) => desired === owner.object);
  return object?.slots.find(({ spec }) => spec.name === owner.program) ?? null;
}

/** Links of a program that is loaded anew: those that are wanted, and those that nobody asked to take away. */
function renewedLinks(slot: Slot, wants: readonly Wanted[], byHand: readonly LinkRecord[]): Step[] {
  const named = new Set(wants.map(({ target }) => placeKey(target)));
  const others = byHand
    .map(({ details, metadata }) => ({
      target: targetOf(details, IN_THIS_BOOT),
      metadata,
      place: slot.object.desired.at(),
    }))
    .filter(({ target }) => !named.has(placeKey(target)));
  return [...wants, ...others].map((each) => ({ do: "attach", slot, ...each }) as const);
}

const placeKey = ({ kind, ...rest }: AttachTarget): string => {
  const { priority: _, proceedOn: __, xdpMode: ___, ...place } = rest as Record<string, unknown>;
  return JSON.stringify([kind, Object.entries(place).sort()]);
};

interface ToCompare {
  readonly slot: Slot;
  readonly record: ProgramRecord;
  readonly wants: readonly Wanted[];
  readonly there: readonly LinkRecord[];
  readonly isMade: (link: LinkRecord) => boolean;
  readonly isLost: (link: LinkRecord) => boolean;
}

/** What can differ between links that are at the same place. */
const IN_PLACE = ["priority", "proceedOn", "position", "count", "netns", "interface"];
/** Their priority is part of where they are, or there is only one. */
const hasPriority = ({ kind }: LinkDetails): boolean => kind !== "netfilter";

function isSamePlace(a: LinkDetails, b: LinkDetails): boolean {
  const other = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a).every(([key, value]) => {
    if (IN_PLACE.includes(key) && (key !== "priority" || hasPriority(a))) return true;
    // Rows of earlier versions do not say which file it was.
    if (key === "fileId" && (value === null || other.get(key) === null)) return true;
    return JSON.stringify(value) === JSON.stringify(other.get(key));
  });
}

async function linkSteps(host: Host, { slot, record, wants, there, isMade, isLost }: ToCompare): Promise<Step[]> {
  const program = record.name;
  const { origin } = slot.object.desired;
  const lost = there.filter((link) => isLost(link) && isMade(link));
  // First: an interface takes them along into another namespace, where the program can only be once.
  const steps: Step[] = lost.map((link) => ({ do: "detach", program, link, reason: "gone" }));
  const left = new Set(there.filter((link) => !isLost(link)));
  for (const { target, metadata, place } of wants) {
    let details: LinkDetails;
    try {
      details = await detailsOfTarget(host, record, target);
    } catch (thrown) {
      throw located(thrown, place);
    }
    const fitting = [...left].filter((link) => isSamePlace(link.details, details));
    if (target.kind === "xdp" && isChained(details)) requireMode(host, details, { mode: target.xdpMode, place });
    const link = fitting.find((each) => differencesOf(each.details, details).length === 0) ?? fitting[0];
    if (link === undefined) {
      steps.push({ do: "attach", slot, target, metadata, place });
      continue;
    }
    left.delete(link);
    const differences = differencesOf(link.details, details);
    const all = { ...inherited(slot.object.planned.metadata), ...metadata };
    if (differences.length === 0) steps.push({ do: "nothing", record, link });
    else if (isChained(details)) {
      const proceedOn = details.proceedOn.map((value) => actionName(ACTIONS[details.kind], value));
      steps.push({ do: "update", program, link, priority: details.priority, proceedOn, differences });
    } else
      steps.push({ do: "move", program, link, wasApplied: isMade(link), origin, target, metadata, place, differences });
    if (!sameMetadata(link.metadata, all) && steps.at(-1)?.do !== "move") {
      const { id, metadata: before } = link;
      steps.push({ do: "label", program, programId: record.id, what: "link", id, before, metadata: all });
    }
  }
  for (const link of left) {
    if (isMade(link)) steps.push({ do: "detach", program, link, reason: "not named any more" });
  }
  return steps;
}

/** Throws INVALID_DOCUMENT if the chain that is there runs in another mode. */
function requireMode(
  host: Host,
  details: ChainDetails,
  { mode, place }: { readonly mode: XdpMode | null; readonly place: Place },
): void {
  const chain = host.store.dispatcher(placeOf(details).key);
  if (mode === null || chain?.type !== "xdp" || chain.mode === null || chain.mode === mode) return;
  const reason = `the chain on ${details.interface} runs in XDP mode ${chain.mode}, not ${mode}`;
  throw documentError(place, reason, "leave xdpMode out, or detach the programs that are there first");
}

/** What a link takes over from its program (operations/attach.ts). */
const inherited = (metadata: Metadata): Metadata =>
  Object.fromEntries(
    Object.entries(metadata).filter(([key]) => key === APPLICATION_KEY || key === NOUN_APPLICATION_KEY),
  );

function differencesOf(from: LinkDetails, to: LinkDetails): Difference[] {
  const found: Difference[] = [];
  if ("priority" in from && "priority" in to && from.priority !== to.priority) {
    found.push({ what: "priority", from: from.priority, to: to.priority });
  }
  if (isChained(from) && isChained(to)) {
    const words = (details: typeof from): string =>
      details.proceedOn.map((value) => actionName(ACTIONS[details.kind], value)).join(",");
    if (words(from) !== words(to)) found.push({ what: "proceed-on", from: words(from), to: words(to) });
  }
  return found;
}
