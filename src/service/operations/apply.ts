/** Makes the host match documents: loads, attaches, changes and removes what is different. */
import type { ApplyAnswer, ApplyChangeAnswer } from "../../domain/answer.ts";
import { linkId, type ProgramId, programId } from "../../domain/ids.ts";
import { type LinkRecord, placeInBrief } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Sources } from "../../platform/runtime.ts";
import { desiredUnits, type Unit } from "../apply/desired.ts";
import {
  type ApplyPlan,
  ownerSlot,
  locatedStep,
  ownMaps,
  type PlannedObject,
  type PlannedUnit,
  replacing,
  selectorOf,
  planApply,
  planObjects,
  type Slot,
  type Step,
} from "../apply/plan.ts";
import { located } from "../apply/place.ts";
import { IN_THIS_BOOT, targetOf } from "../attach/target-of.ts";
import { oneChange, type Parts } from "../one-change.ts";
import { type Context, operation } from "../operation.ts";
import { finish } from "../plan.ts";
import { mapUsers } from "../removal/map-users.ts";
import { removeLink } from "../removal/remove-link.ts";
import { inOrderOfRemoval, removeProgram, requireNotReplaced, requireOwnPins } from "../removal/remove-program.ts";
import { type ApplyRequest, applyRequest } from "../requests/apply-requests.ts";
import { attach, typedPlace } from "./attach.ts";
import { fetchImage, type LoadInput, planLoad } from "./load.ts";
import { type Pair, removeReplaced, settlePlaces, takePlaces } from "../replace/take-places.ts";
import { updateLink } from "./update-link.ts";

/** A request, with its documents read and its images pulled. */
interface ApplyInput extends Omit<ApplyRequest, "documents"> {
  readonly units: readonly Unit[];
  /** What the documents came from. */
  readonly origins: ReadonlySet<string>;
}

async function read(sources: Sources, request: ApplyRequest, context: Context): Promise<ApplyInput> {
  const files = await sources.openFiles();
  const { readDocuments } = await import("../apply/read-documents.ts");
  const documents = readDocuments(files, request.documents);
  const units = desiredUnits(documents, files.absolute);
  const pulled = new Map<string, LoadInput["source"]>();
  for (const object of units.flatMap((unit) => unit.objects)) {
    const { image } = object.entry;
    if (image === undefined) continue;
    const key = JSON.stringify(image);
    try {
      const load = { ...object.request, mapOwnerId: null };
      object.source = pulled.get(key) ?? (await fetchImage(sources, load, context)).source;
      pulled.set(key, object.source);
    } catch (thrown) {
      throw located(thrown, object.at("image"));
    }
  }
  const given = request.documents.map((each) => ("file" in each ? files.absolute(each.file) : each.name));
  return { ...request, units, origins: new Set(given) };
}

/** What becomes of the programs and links of a plan. */
interface Made {
  readonly programs: Map<Slot, ProgramId>;
  readonly links: Map<Step, number>;
}

async function apply(host: Host, input: ApplyInput, context: Context): Promise<ApplyAnswer> {
  const planned = planObjects(host, input.units, context);
  const options = { origins: input.origins, prune: input.prune, waits: input.awaitInterfaces };
  const plan = await planApply(host, planned, options, context);
  const made: Made = { programs: new Map(), links: new Map() };
  context.note({ source: [...input.origins].join(" ") });
  if (!input.dryRun) {
    const objects = [...planned.values()].flat();
    const applied: (string | null)[] = [];
    for (const unit of plan.units) {
      try {
        await applyUnit(host, unit, { objects, made }, context);
      } catch (thrown) {
        if (!(thrown instanceof BpfmanError)) throw thrown;
        const what = unit.application === null ? "what belongs to no application" : `application "${unit.application}"`;
        throw thrown.with({
          message: `apply ${what}: ${thrown.message}`,
          details: { application: unit.application, applied },
        });
      }
      applied.push(unit.application);
    }
  }
  return answerOf(plan, made, input.dryRun);
}

interface Around {
  readonly objects: readonly PlannedObject[];
  readonly made: Made;
}

async function applyUnit(host: Host, unit: PlannedUnit, around: Around, context: Context): Promise<void> {
  const { steps, takenOver } = unit;
  if (takenOver.length === 0 && steps.every((step) => step.do === "nothing")) return;
  const links: LinkRecord[] = [];
  const going: ProgramRecord[] = [];
  const olds: ProgramRecord[] = [];
  for (const step of steps) {
    if (step.do === "detach" && step.reason !== "gone") links.push(step.link);
    if (step.do === "replace") olds.push(...step.slots.flatMap(({ record }) => record ?? []));
    if (step.do !== "unload" && step.do !== "reload") continue;
    const records = step.do === "unload" ? [step.record] : step.slots.flatMap(({ record }) => record ?? []);
    for (const record of records) {
      going.push(record);
      links.push(...host.store.links(record.id));
    }
  }
  const programs = inOrderOfRemoval(going);
  const users = mapUsers(host);
  for (const record of [...programs, ...olds]) {
    requireNotReplaced(host, record, programs);
    requireOwnPins(host, record, users);
  }
  await removeLost(host, steps, context);
  const replaced: Pair[] = [];
  const work = async (parts: Parts): Promise<void> => {
    for (const step of steps) {
      try {
        await carryOutStep(host, step, { ...around, parts, replaced }, context);
      } catch (thrown) {
        throw locatedStep(thrown, step);
      }
    }
  };
  // From there on there is no way back, but forward: what is marked is removed now, or by the next command.
  const settle = (): void => {
    settlePlaces(host, replaced, "keep");
    const successors = new Map<number, number>(replaced.map(({ old, next }) => [old.id, next.id]));
    for (const { what, id, origin } of takenOver) {
      if (what === "program") host.store.setApplied(what, programId(successors.get(id) ?? id), origin);
      // What has been moved has another ID.
      else if (host.store.link(linkId(id)) !== null) host.store.setApplied(what, linkId(id), origin);
    }
    // Those of replaced programs have other pins by now.
    for (const [at, link] of links.entries()) links[at] = host.store.link(link.id) ?? link;
    for (const { id } of links) host.store.setLinkState(id, "removing");
    for (const { id } of programs) host.store.setProgramState(id, "removing");
  };
  await oneChange(host, context, work, settle);
  const rest = { ...context, signal: new AbortController().signal };
  for (const record of links) {
    await finish(`detach link ${record.id}`, () => removeLink(host, { record, state: "removing" }, rest));
  }
  for (const { old } of replaced.toReversed()) await removeReplaced(host, old, context);
  const left = mapUsers(host);
  for (const record of programs) {
    await finish(`unload program ${record.id}`, () => removeProgram(host, { record, state: "removing" }, left, rest));
  }
}

/**
 * Removes links to what is gone, whatever becomes of the rest: nothing runs there any more, and the kernel refuses to give such a
 * link another program.
 */
async function removeLost(host: Host, steps: readonly Step[], context: Context): Promise<void> {
  for (const step of steps) {
    if (step.do !== "detach" || step.reason !== "gone") continue;
    // The first of a chain changes the others.
    const record = host.store.link(step.link.id);
    if (record !== null) await removeLink(host, { record, state: "ready" }, context);
  }
}

interface Doing extends Around {
  readonly parts: Parts;
  /** Programs whose links others have taken over. */
  readonly replaced: Pair[];
}

async function carryOutStep(host: Host, step: Step, doing: Doing, context: Context): Promise<void> {
  const { parts, made } = doing;
  const { steps } = parts;
  switch (step.do) {
    case "load":
    case "reload":
      return loadSlots(host, step, doing, context);
    case "replace": {
      const pairs = await takePlaces(host, replacing(host, step.slots, context), parts, context);
      for (const slot of step.slots) {
        const pair = pairs.find(({ old }) => old.id === slot.record?.id);
        if (pair !== undefined) made.programs.set(slot, pair.next.id);
      }
      return void doing.replaced.push(...pairs);
    }
    case "attach": {
      const { slot, target, metadata } = step;
      const id = made.programs.get(slot) ?? slot.record?.id;
      const { record } = await parts.attach({ programId: id as ProgramId, attach: target, metadata });
      made.links.set(step, record.link_id);
      return void host.store.setApplied("link", linkId(record.link_id), slot.object.desired.origin);
    }
    case "update": {
      const { link, priority, proceedOn } = step;
      const before = targetOf(link.details, IN_THIS_BOOT) as { priority: number; proceedOn: readonly string[] };
      const change = (to: { readonly priority: number; readonly proceedOn: readonly string[] }, how: Context) =>
        updateLink(host, { linkId: link.id, priority: to.priority, proceedOn: [...to.proceedOn] }, how);
      await steps.step(
        `update link ${link.id}`,
        () => change({ priority, proceedOn }, context),
        async () => void (await change(before, parts.undoing)),
      );
      return;
    }
    case "move": {
      const { link, target, metadata, origin } = step;
      // Its program may have been replaced.
      const there = host.store.link(link.id) ?? link;
      const back = {
        programId: there.programId,
        attach: targetOf(link.details, IN_THIS_BOOT),
        metadata: link.metadata,
      };
      // A detach that fails may have come too far to be undone by itself.
      const makeWay = (): void => {};
      await steps.step(`make way on ${placeInBrief(link.details)}`, makeWay, async () => {
        if (host.store.link(link.id) !== null) return;
        // A removal that went too far still has the row.
        const isLeft = host.store.unsettledLinks().some(({ record }) => record.id === link.id);
        const { record } = await attach(host, back, parts.undoing, isLeft ? null : link);
        if (step.wasApplied) host.store.setApplied("link", linkId(record.link_id), origin);
      });
      await steps.step(`detach link ${link.id}`, () => removeLink(host, { record: there, state: "ready" }, context));
      const { record } = await parts.attach({ programId: there.programId, attach: target, metadata });
      made.links.set(step, record.link_id);
      return void host.store.setApplied("link", linkId(record.link_id), origin);
    }
    case "label": {
      const { what, before, metadata } = step;
      const id = what === "link" ? linkId(step.id) : programId(step.id);
      await steps.step(
        `label ${what} ${id}`,
        () => host.store.setMetadata(what, id, metadata),
        () => host.store.setMetadata(what, id, before),
      );
      return;
    }
    case "detach":
    case "unload":
    case "nothing":
      return;
  }
}

async function loadSlots(
  host: Host,
  { slots, do: how }: Extract<Step, { do: "load" | "reload" }>,
  { parts, objects, made }: Doing,
  context: Context,
): Promise<void> {
  const [first] = slots;
  if (first === undefined) return;
  const { desired, planned, slots: all } = first.object;
  const owner = ownerSlot(desired, objects);
  // A program that joins those of its object shares their maps.
  const beside = all.find((slot) => !slots.includes(slot) && (made.programs.get(slot) ?? slot.record) !== null);
  const sharing = owner ?? (how === "load" ? beside : undefined) ?? null;
  const named = sharing === null ? null : (made.programs.get(sharing) ?? sharing.record?.id ?? null);
  const programs = slots.map(selectorOf);
  const load = {
    ...desired.request,
    programs,
    source: desired.source as LoadInput["source"],
    mapOwnerId: named === null ? planned.requestedOwner : ownMaps(host, named),
  };
  const answer = await parts.load(planLoad(host, load, context));
  for (const [at, { record }] of answer.programs.entries()) {
    const slot = slots[at];
    if (slot === undefined || record === null) continue;
    made.programs.set(slot, programId(record.program_id));
    host.store.setApplied("program", programId(record.program_id), desired.origin);
  }
}

function answerOf({ units, watched, watchesNamespaces }: ApplyPlan, made: Made, dryRun: boolean): ApplyAnswer {
  /** What took the places of programs. */
  const successors = new Map(
    [...made.programs].flatMap(([{ record }, id]) => (record === null ? [] : [[record.id, id]])),
  );
  const current = (change: ApplyChangeAnswer): ApplyChangeAnswer =>
    change.action === "unload"
      ? change
      : { ...change, program_id: successors.get(change.program_id as ProgramId) ?? change.program_id };
  const applications = units.map(({ application, steps }) => ({
    application,
    changes: steps.flatMap((step) => changesOf(step, made)).map(current),
  }));
  return { dry_run: dryRun, applications, watched, watches_namespaces: watchesNamespaces };
}

function changesOf(step: Step, { programs, links }: Made): ApplyChangeAnswer[] {
  const nothing = { link_id: null, place: null, differences: [], reason: null };
  switch (step.do) {
    case "load":
    case "reload":
    case "replace":
      return step.slots.map((slot) => ({
        ...nothing,
        action: step.do,
        program: slot.spec.name,
        program_id: programs.get(slot) ?? slot.record?.id ?? null,
        differences: step.do === "load" ? [] : step.differences,
      }));
    case "attach": {
      const { slot, target } = step;
      const id = programs.get(slot) ?? slot.record?.id ?? null;
      const place = typedPlace(target);
      return [
        {
          ...nothing,
          action: "attach",
          program: slot.spec.name,
          program_id: id,
          link_id: links.get(step) ?? null,
          place,
        },
      ];
    }
    case "update":
    case "move":
    case "detach": {
      const { link, program } = step;
      return [
        {
          ...nothing,
          action: step.do,
          program,
          program_id: link.programId,
          link_id: links.get(step) ?? link.id,
          place: placeInBrief(link.details),
          ...(step.do === "detach" ? { reason: step.reason } : { differences: step.differences }),
        },
      ];
    }
    case "label": {
      const { what, id, program, before, metadata } = step;
      const keys = [...new Set([...Object.keys(before), ...Object.keys(metadata)])];
      const differences = keys
        .filter((key) => before[key] !== metadata[key])
        .map((key) => ({ what: `metadata ${key}`, from: before[key] ?? null, to: metadata[key] ?? null }));
      const isLink = what === "link";
      const ids = { program_id: step.programId, link_id: isLink ? id : null };
      return [{ ...nothing, action: "label", program, ...ids, differences }];
    }
    case "unload":
      return [{ ...nothing, action: "unload", program: step.record.name, program_id: step.record.id }];
    case "nothing": {
      const { record, link } = step;
      const place = link && placeInBrief(link.details);
      return [
        {
          ...nothing,
          action: "unchanged",
          program: record.name,
          program_id: record.id,
          link_id: link?.id ?? null,
          place,
        },
      ];
    }
  }
}

export const implementation = operation({
  request: applyRequest,
  prepare: read,
  check: (host: Host, { units }: ApplyInput, context: Context) => void planObjects(host, units, context),
  onlyReads: ({ dryRun }: ApplyRequest) => dryRun,
  run: apply,
});
