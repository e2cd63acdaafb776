import type { ExportAnswer } from "../../domain/answer.ts";
import { applicationOf, type ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import type { Host } from "../../platform/host.ts";
import { asYaml, type ExportedObject, exportedObjects } from "../apply/export-document.ts";
import { type Context, operation } from "../operation.ts";
import { type ExportRequest, exportRequest } from "../requests/apply-requests.ts";
import { savedBytecode } from "../saved-bytecode.ts";

const DOCUMENT = "bpfman.yaml";
const OBJECTS = "objects";

function programsOf(host: Host, application: string | null): ProgramRecord[] {
  const all = host.store.programs();
  const found = all.filter(({ metadata }) => application === null || applicationOf(metadata) === application);
  if (found.length > 0 || application === null) return found;
  const names = [...new Set(all.flatMap(({ metadata }) => applicationOf(metadata) ?? []))];
  throw new BpfmanError("PROGRAM_NOT_FOUND", `no program belongs to application "${application}"`, {
    details: { application, applications: names },
    hint: whatThereIs(application, names, { there: "applications are", none: "no program belongs to an application" }),
  });
}

/** Where an object comes from, as a document says it. */
function sourceOf({ programs: [first] }: ExportedObject): Record<string, unknown> {
  const { image, absoluteSourcePath, bytecodePath } = first as ProgramRecord;
  if (image === null) return { path: absoluteSourcePath ?? bytecodePath };
  return {
    image: { url: image.url, ...(image.pullPolicy === "IfNotPresent" ? {} : { pullPolicy: image.pullPolicy }) },
  };
}

/** In a bundle: what it contains is in the name, so one file is enough for several loads. */
function nameInBundle(host: Host, record: ProgramRecord, bytes: Uint8Array): string {
  const from = record.absoluteSourcePath ?? record.name;
  const base = from.slice(from.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  const safe = base.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, 64) || "object";
  return `${safe}-${host.files.digest(bytes).slice(0, 12)}.o`;
}

async function exportState(
  host: Host,
  { application, bundle }: ExportRequest,
  context: Context,
): Promise<ExportAnswer> {
  const { objects, left } = exportedObjects(host, programsOf(host, application));
  const files = new Map<string, Uint8Array>();
  const entries = objects.map((object) => {
    const [first] = object.programs as [ProgramRecord];
    if (bundle === null || first.image !== null) return { object, source: sourceOf(object) };
    const bytes = savedBytecode(host, first);
    const name = `${OBJECTS}/${nameInBundle(host, first, bytes)}`;
    files.set(name, bytes);
    return { object, source: { path: name } };
  });
  const isPortable = bundle !== null || entries.every(({ source }) => !("path" in source));
  const written = Map.groupBy(entries, ({ object }) => object.application);
  const objectsOf = (name: string | null) =>
    (written.get(name) ?? []).map(({ object, source }) => ({ ...source, ...object.entry }));
  const named = [...written.keys()].filter((name) => name !== null);
  const document = {
    ...(named.length === 0
      ? {}
      : { applications: Object.fromEntries(named.map((name) => [name, { objects: objectsOf(name) }])) }),
    ...(written.has(null) ? { objects: objectsOf(null) } : {}),
  };
  const comments = [
    ...(objects.length === 0 ? ["Nothing is loaded."] : []),
    ...(isPortable ? [] : ["The paths are those of this host. For another one: bpfman export --bundle DIR"]),
    ...left.map((each) => `Left out: ${each}`),
  ];
  for (const each of left) context.log.warn(`left out: ${each}`);
  const yaml = await asYaml(document, comments);
  const inBundle = bundle === null ? [] : writeBundle(host, bundle, { files, yaml });
  return { document, yaml, portable: isPortable, files: inBundle, left };
}

function writeBundle(
  host: Host,
  given: string,
  { files, yaml }: { readonly files: ReadonlyMap<string, Uint8Array>; readonly yaml: string },
): string[] {
  const directory = host.files.absolute(given);
  const all = new Map<string, string | Uint8Array>([...files, [DOCUMENT, yaml]]);
  host.files.saveDirectory(directory, all);
  return [...all.keys()].map((name) => `${directory}/${name}`);
}

export const implementation = operation({ request: exportRequest, run: exportState });
