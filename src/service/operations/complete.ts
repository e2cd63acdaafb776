import { KINDS, kindsOfSection } from "../../domain/kinds.ts";
import type { CompleteAnswer } from "../../domain/answer.ts";
import type { DispatcherKey } from "../../domain/dispatcher.ts";
import { COMPLETIONS_MAX, OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import { mapTypeJson } from "../../domain/kernel-words.ts";
import type { LinkDetails } from "../../domain/link.ts";
import type { ObjectFile, ObjectProgram } from "../../domain/object-file.ts";
import type { Host } from "../../platform/host.ts";
import { symbolNames } from "../../object/symbols.ts";
import { openNamedTarget } from "../attach/uprobe.ts";
import { operation } from "../operation.ts";
import { readNamedObject } from "../read-object.ts";
import { type CompleteRequest, completeRequest } from "../requests/complete.ts";

type Value = CompleteAnswer["values"][number];

const plain = (value: string): Value => ({ value, description: "" });

/** Where a link sits, in few words. */
function place(details: LinkDetails): string {
  switch (details.kind) {
    case "xdp":
    case "tc":
    case "tcx":
      return details.interface;
    case "tracepoint":
      return `${details.group}/${details.name}`;
    case "uprobe":
    case "uretprobe":
      return details.fnName === null ? details.target : `${details.target} ${details.fnName}`;
    case "kprobe":
    case "kretprobe":
    case "fentry":
    case "fexit":
    case "lsm":
      return details.fnName;
  }
}

function links(host: Host): Value[] {
  const names = new Map(host.store.programSummaries().map((program) => [program.id, program.name]));
  return host.store.links().map(({ id, programId, details }) => {
    const description = `${names.get(programId) ?? ""} (${details.kind}) ${place(details)}`;
    return { value: String(id), description: description.trimStart() };
  });
}

function objectFile(host: Host, file: string | null): ObjectFile | null {
  if (file === null) return null;
  return readNamedObject({ bytes: host.files.readObject(host.files.absolute(file), OBJECT_BYTES_MAX), path: file }, {});
}

/** How a program is asked for; one of a TC section can be loaded for either hook. */
function selectors({ name, kind, section, target }: ObjectProgram): Value[] {
  if (kind === null || kind === "unmanaged") return [];
  const rest = KINDS[kind].needsFunction && target !== null ? `${name}:${target}` : name;
  return kindsOfSection(kind).map((type) => ({ value: `${type}:${rest}`, description: section }));
}

/** Functions of a binary or library, which may be named as for an attach. */
function functionsIn(host: Host, target: string | null): string[] {
  const file = target === null ? null : openNamedTarget(host, target);
  if (file === null) return [];
  try {
    return [...symbolNames(file)].sort();
  } finally {
    file.close();
  }
}

/** Those that are the same for several hooks of an interface or namespace once. */
function dispatchers(host: Host, numberOf: (key: DispatcherKey) => number): Value[] {
  const places = new Map<number, Set<string>>();
  for (const record of host.store.dispatchers()) {
    const number = numberOf(record);
    places.set(number, (places.get(number) ?? new Set()).add(`${record.interface} (${record.type})`));
  }
  return [...places].map(([number, where]) => ({ value: String(number), description: [...where].join(", ") }));
}

function* candidates(host: Host, { what, prefix, netns, file }: CompleteRequest): Iterable<Value> {
  switch (what) {
    case "interface":
      return yield* host.network.interfaces(netns).map(plain);
    case "netns":
      return yield* host.network.namedNamespaces().map(plain);
    case "kernel-function":
      // All of them help nobody.
      return prefix === "" ? undefined : yield* [...new Set(host.kernel.kernelFunctions(prefix))].sort().map(plain);
    case "target-function":
      return prefix === "" ? undefined : yield* functionsIn(host, file).map(plain);
    case "dispatcher-nsid":
      return yield* dispatchers(host, ({ nsid }) => nsid);
    case "dispatcher-ifindex":
      return yield* dispatchers(host, ({ ifindex }) => ifindex);
    case "tracepoint":
      return yield* host.kernel.tracepoints().sort().map(plain);
    case "pid":
      return yield* host.files.processes().map(({ pid, name }) => ({ value: String(pid), description: name }));
    case "program-id":
      return yield* host.store.programSummaries().map(({ id, name, type }) => {
        return { value: String(id), description: `${name} (${type})` };
      });
    case "link-id":
      return yield* links(host);
    case "object-program":
      for (const program of objectFile(host, file)?.programs ?? []) yield* selectors(program);
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

/** Never changes anything, and reads no more than it must: it runs while somebody types. */
function complete(host: Host, request: CompleteRequest): CompleteAnswer {
  const values: Value[] = [];
  for (const candidate of candidates(host, request)) {
    if (candidate.value.startsWith(request.prefix)) values.push(candidate);
    if (values.length === COMPLETIONS_MAX) break;
  }
  return { values };
}

export const implementation = operation({ request: completeRequest, run: complete });
