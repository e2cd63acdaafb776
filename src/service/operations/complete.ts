import { ATTACH_KINDS, factsOf, KINDS, kindsOfSection } from "../../domain/kinds.ts";
import * as v from "valibot";
import { LIVE_VALUES } from "../../domain/completion.ts";
import { COMPLETIONS_MAX, NAME_CHARS_MAX, OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import { idOrName, path } from "../requests/request-fields.ts";
import type { CompleteAnswer } from "../../domain/answer.ts";
import type { DispatcherKey } from "../../domain/dispatcher.ts";
import { hasEvents } from "../../domain/map-kinds.ts";
import { mapTypeJson } from "../../domain/map-type-words.ts";
import { PERF_EVENTS } from "../../domain/perf-events.ts";
import { placeInBrief } from "../../domain/link.ts";
import type { ObjectFile, ObjectProgram } from "../../domain/object-file.ts";
import { applicationOf, EVERY_PROGRAM, type Metadata } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import { symbolNames } from "../../object/symbols.ts";
import { openNamedTarget } from "../attach/resolve-uprobe.ts";
import { type KnownMap, knownMaps } from "../map/find-map.ts";
import { operation } from "../operation.ts";
import { programIdOf } from "../require-record.ts";
import { readNamedObject } from "../read-object.ts";

const completeRequest = v.strictObject({
  what: v.picklist(LIVE_VALUES),
  prefix: v.pipe(v.string(), v.maxLength(NAME_CHARS_MAX)),
  /** The namespace of the interfaces; null for the caller's own. */
  netns: v.optional(v.nullable(path()), null),
  /** The object file of the programs or variables, the target of the functions, or the source of the events. */
  file: v.optional(v.nullable(path()), null),
  /** The program whose kind of hook to complete. */
  programId: v.optional(v.nullable(idOrName()), null),
  /** The kind of hook that programs must fit; null for all programs. */
  attachKind: v.optional(v.nullable(v.picklist(ATTACH_KINDS)), null),
});
type CompleteRequest = v.InferOutput<typeof completeRequest>;

type Value = CompleteAnswer["values"][number];

const plain = (value: string): Value => ({ value, description: "" });

/** A program, or a link by its program. */
interface Named {
  readonly id: number;
  readonly name: string;
  readonly application: string | null;
  readonly about: string;
  /** Others are only there to tell whether a name is the only one. */
  readonly fits: boolean;
}

/** IDs; once a letter is typed, the names that only one has, with its application if that is typed or needed. */
function* namedOrById(prefix: string, all: readonly Named[]): Iterable<Value> {
  const byName = Map.groupBy(all, ({ name }) => name);
  const isOnly = ({ name, application }: Named, inApplication: boolean): boolean =>
    byName.get(name)?.filter((other) => !inApplication || other.application === application).length === 1;
  const fitting = all.filter(({ fits }) => fits);
  for (const { id, about } of fitting) yield { value: String(id), description: about };
  if (prefix === "") return;
  for (const one of fitting) {
    const { id, name, application, about } = one;
    const description = `${id}: ${about}`;
    const unique = isOnly(one, false);
    if (unique) yield { value: name, description };
    const asksFor = !unique || prefix.includes("/");
    if (application !== null && asksFor && isOnly(one, true)) yield { value: `${application}/${name}`, description };
  }
}

function links(host: Host): Named[] {
  const programs = new Map(host.store.programSummaries().map((program) => [program.id, program]));
  return host.store.links().map(({ id, programId, metadata, details }) => {
    const name = programs.get(programId)?.name ?? "?";
    return { id, name, application: applicationOf(metadata), about: `${name}: ${placeInBrief(details)}`, fits: true };
  });
}

function objectFile(host: Host, file: string | null): ObjectFile | null {
  if (file === null) return null;
  return readNamedObject({ bytes: host.files.readObject(host.files.absolute(file), OBJECT_BYTES_MAX), path: file }, {});
}

/** Returns the ways to request a program. A program in a TC section can be loaded for either hook. */
function selectors(host: Host, { name, kind, section, target }: ObjectProgram): Value[] {
  if (kind === null) return [];
  if (kind === "freplace") {
    return host.store
      .programSummaries()
      .filter(({ type }) => type !== kind)
      .map((program) => ({
        value: `${kind}:${name}:${program.id}/${target ?? ""}`,
        description: `${section}, of ${program.name} (${program.type})`,
      }));
  }
  const rest = KINDS[kind].needsFunction && target !== null ? `${name}:${target}` : name;
  return kindsOfSection(kind).map((type) => ({ value: `${type}:${rest}`, description: section }));
}

/** Returns the functions of a binary or library, which can be named as for an attach. */
function functionsIn(host: Host, target: string | null): string[] {
  const file = target === null ? null : openNamedTarget(host, target);
  if (file === null) return [];
  try {
    return [...symbolNames(file)].sort();
  } finally {
    file.close();
  }
}

/** Lists a number shared by several hooks of an interface or namespace once. */
function dispatchers(host: Host, numberOf: (key: DispatcherKey) => number): Value[] {
  const places = new Map<number, Set<string>>();
  for (const record of host.store.dispatchers()) {
    const number = numberOf(record);
    places.set(number, (places.get(number) ?? new Set()).add(`${record.interface} (${record.type})`));
  }
  return [...places].map(([number, where]) => ({ value: String(number), description: [...where].join(", ") }));
}

/** Returns the labels of programs and links, each value once. */
function labels(host: Host, of: (metadata: Metadata) => readonly string[]): Value[] {
  const found = [...host.store.programs(), ...host.store.links()].flatMap(({ metadata }) => of(metadata));
  return [...new Set(found)].sort().map(plain);
}

/** Pairs as they are typed. Those that contain a comma, which would end a pair, are omitted. */
const pairs = (metadata: Metadata): string[] =>
  Object.entries(metadata).flatMap(([key, value]) => (`${key}${value}`.includes(",") ? [] : `${key}=${value}`));

/** Names of maps, with the program's ID where several have one name; IDs once a digit is typed. */
function* maps(known: readonly KnownMap[], prefix: string): Iterable<Value> {
  for (const { id, name, programs } of known) {
    const description = programs.map((program) => `${program.id} ${program.name}`).join(", ");
    const isUnique = known.filter((other) => other.name === name).length === 1;
    if (isUnique) yield { value: name, description };
    if (/^\d/.test(prefix)) yield { value: String(id), description: name };
    if (/^\d/.test(prefix) || !isUnique)
      for (const program of programs) yield { value: `${program.id}/${name}`, description: program.name };
  }
}

/** Ring buffers and perf buffers like other maps, and the programs that use them. */
function* eventSources(host: Host, prefix: string): Iterable<Value> {
  const buffers = [...knownMaps(host.store.programs()).values()].filter(({ id }) => {
    const map = host.kernel.map(id);
    return map !== null && hasEvents(map);
  });
  yield* maps(buffers, prefix);
  const programs = new Map(buffers.flatMap((map) => map.programs.map((program) => [program.id, program])));
  for (const { id, name, type } of programs.values()) yield { value: String(id), description: `${name} (${type})` };
}

function* candidates(host: Host, request: CompleteRequest): Iterable<Value> {
  const { what, prefix, netns, file, programId, attachKind } = request;
  switch (what) {
    case "interface":
      return yield* host.network
        .interfaces(netns)
        .flatMap((each) => [each.name, ...each.alternativeNames])
        .map(plain);
    case "netns":
      return yield* host.network.namedNamespaces().map(plain);
    case "cgroup":
      for (const path of host.kernel.cgroups(prefix)) yield plain(path);
      return;
    case "kernel-function":
      // A list of all functions would not help.
      return prefix === "" ? undefined : yield* [...new Set(host.kernel.kernelFunctions(prefix))].sort().map(plain);
    case "target-function":
      return prefix === "" ? undefined : yield* functionsIn(host, file).map(plain);
    case "dispatcher-nsid":
      return yield* dispatchers(host, ({ nsid }) => nsid);
    case "dispatcher-ifindex":
      return yield* dispatchers(host, ({ ifindex }) => ifindex);
    case "tracepoint":
      return yield* host.kernel.tracepoints().sort().map(plain);
    case "raw-tracepoint":
      return yield* host.kernel.rawTracepoints().sort().map(plain);
    case "perf-event":
      return yield* PERF_EVENTS.map(plain);
    case "pid":
      return yield* host.files.processes().map(({ pid, name }) => ({ value: String(pid), description: name }));
    case "program-id":
      return yield* namedOrById(
        prefix,
        host.store.programSummaries().map(({ id, name, type, metadata }) => ({
          ...{ id, name, application: applicationOf(metadata), about: `${name} (${type})` },
          fits: attachKind === null || factsOf(type).attachKind === attachKind,
        })),
      );
    case "attach-kind": {
      const id = programId === null ? null : programIdOf(host, programId, { note: () => {} });
      for (const program of host.store.programSummaries()) {
        const { attachKind: kind } = factsOf(program.type);
        if (program.id === id && kind !== null) yield plain(kind);
      }
      return;
    }
    case "application":
      return yield* labels(host, (metadata) => [applicationOf(metadata) ?? []].flat());
    case "metadata":
      return yield* labels(host, pairs);
    case "link-id":
      return yield* namedOrById(prefix, links(host));
    case "map":
      return yield* maps([...knownMaps(host.store.programs()).values()], prefix);
    case "event-source":
      return yield* eventSources(host, prefix);
    case "event-type": {
      const { structsFor } = require("../events/event-type.ts") as typeof import("../events/event-type.ts");
      const { findSource } = require("../events/find-source.ts") as typeof import("../events/find-source.ts");
      return file === null ? undefined : yield* structsFor(host, findSource(host, file), prefix === "").map(plain);
    }
    case "object-program":
      for (const program of objectFile(host, file)?.programs ?? []) {
        yield* selectors(host, program);
        if (prefix !== "") yield { value: program.name, description: program.section };
      }
      if (prefix !== "") yield { value: EVERY_PROGRAM, description: "every program" };
      return;
    case "object-global":
      for (const { name, size } of objectFile(host, file)?.globals ?? []) {
        yield { value: `${name}=`, description: `${size} bytes` };
      }
      return;
    case "object-map":
      for (const { name, type, maxEntries } of objectFile(host, file)?.maps ?? []) {
        yield { value: `${name}=`, description: `${mapTypeJson(type)}, ${maxEntries ?? "no"} entries` };
      }
  }
}

/** Changes nothing, and reads only what it must, because it runs while a user is typing. */
function complete(host: Host, request: CompleteRequest): CompleteAnswer {
  const values: Value[] = [];
  for (const candidate of candidates(host, request)) {
    if (candidate.value.startsWith(request.prefix)) values.push(candidate);
    if (values.length === COMPLETIONS_MAX) break;
  }
  return { values };
}

export const implementation = operation({ request: completeRequest, uses: () => ["store", "pins"], run: complete });
