import type { LoadAnswer } from "../../domain/answer.ts";
import { type MapId, type ProgramId, programId } from "../../domain/ids.ts";
import { capabilitiesOf, factsOf } from "../../domain/kinds.ts";
import { OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import type { ObjectFile } from "../../domain/object-file.ts";
import { mapPin, type Pin, programPin } from "../../domain/pin.ts";
import {
  APPLICATION_KEY,
  type ImageSource,
  type Metadata,
  type ProgramMap,
  type ProgramRecord,
  type ProgramSpec,
} from "../../domain/program.ts";
import { type ObjectForLibbpf, objectForLibbpf } from "../../object/object-file.ts";
import { BpfmanError } from "../../errors/error.ts";
import { loadedAnswers } from "../../inspect/program-answer.ts";
import { readNamedObject } from "../read-object.ts";
import type { Host } from "../../platform/host.ts";
import type { PulledImage } from "../../platform/images.ts";
import type { EarlierProgram } from "../../platform/store.ts";
import type { KernelProgram, LoadedObject, LoadedProgram } from "../../platform/kernel.ts";
import type { Sources } from "../../platform/runtime.ts";
import { checkLabelled } from "../load/labelled.ts";
import { loadedAlongside } from "../load/alongside.ts";
import { decodeGlobals, placeGlobals } from "../load/globals.ts";
import { selectPrograms } from "../load/select.ts";
import { type MapPlan, type OwnedMaps, planMaps } from "../load/shared-maps.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf } from "../require-record.ts";
import { removePins } from "../own-pins.ts";
import { carryOut, type Plan } from "../plan.ts";
import { type LoadRequest, loadRequest } from "../requests/load-request.ts";

const replaced = () => require("../load/replaced.ts") as typeof import("../load/replaced.ts");

type Source = LoadRequest["source"];

/** A request, with its image already pulled. */
export interface LoadInput extends Omit<LoadRequest, "source"> {
  readonly source:
    | Exclude<Source, { image: unknown }>
    | { readonly pulled: PulledImage }
    | { readonly saved: ReadObject };
  /** Maps of a program whose place is taken. */
  readonly kept?: OwnedMaps | null;
}

/** An object file, and where it came from. */
export interface ReadObject {
  readonly bytes: Uint8Array;
  /** Name of the file, on disk or in an image. */
  readonly fileName: string;
  /** As given by the user; null for an image. */
  readonly sourcePath: string | null;
  readonly absoluteSourcePath: string | null;
  readonly image: ImageSource | null;
}

/** Everything that is determined before the first effect. */
export interface LoadPlan extends ReadObject {
  readonly object: ObjectFile;
  readonly forLibbpf: ObjectForLibbpf;
  readonly specs: readonly ProgramSpec[];
  /** What the programs reach by tail calls. */
  readonly globals: ReadonlyMap<string, Uint8Array>;
  readonly maps: MapPlan;
  readonly metadata: Metadata;
  /** Whose maps are shared; null for the first of the programs. */
  readonly requestedOwner: ProgramId | null;
  readonly keep: boolean;
  /** The programs of an earlier boot that are restored, in the order of `specs`; empty if none are. */
  readonly restored: readonly EarlierProgram[];
}

/** Throws INVALID_METADATA if the metadata name another application than the request. */
function requireOneApplication({ application, metadata }: LoadRequest): void {
  const other = metadata[APPLICATION_KEY];
  if (application === null || other === undefined || other === application) return;
  throw new BpfmanError(
    "INVALID_METADATA",
    `metadata key "${APPLICATION_KEY}" is given twice: "${other}" and, as the application, "${application}"`,
    { details: { key: APPLICATION_KEY, metadata: other, application }, hint: "give one of them" },
  );
}

/** Pulls the image before the lock is taken, so that no other command waits for the network. */
export async function fetchImage(sources: Sources, request: LoadRequest, context: Context): Promise<LoadInput> {
  requireOneApplication(request);
  const { source } = request;
  if (!("image" in source)) return { ...request, source };
  const { url, registryAuth, pullPolicy } = source.image;
  const images = await sources.openImages();
  const pulled = await images.pull({ reference: url, registryAuth, pullPolicy, digest: context.digest }, context);
  context.pulled(pulled.source.digest);
  checkLabelled(pulled, request.programs);
  return { ...request, source: { pulled } };
}

function sourceOf(host: Host, { source }: LoadInput): ReadObject {
  if ("saved" in source) return source.saved;
  if ("pulled" in source) {
    const { object, source: image } = source.pulled;
    return { bytes: object.bytes, fileName: object.name, sourcePath: null, absoluteSourcePath: null, image };
  }
  if ("object" in source) {
    const { name, base64 } = source.object;
    const bytes = Uint8Array.fromBase64(base64);
    return { bytes, fileName: name, sourcePath: name, absoluteSourcePath: null, image: null };
  }
  const sourcePath = source.file;
  const absoluteSourcePath = host.files.absolute(sourcePath);
  const bytes = host.files.readObject(absoluteSourcePath, OBJECT_BYTES_MAX);
  return { bytes, fileName: absoluteSourcePath, sourcePath, absoluteSourcePath, image: null };
}

/** Names the source for the history. */
function nameOf(source: LoadInput["source"]): string {
  if ("saved" in source) return source.saved.image?.url ?? source.saved.sourcePath ?? source.saved.fileName;
  if ("pulled" in source) return source.pulled.source.url;
  return "object" in source ? source.object.name : source.file;
}

/** Throws what can be found before the first effect. */
export function planLoad(host: Host, input: LoadInput, context: Context): LoadPlan {
  context.note({ source: nameOf(input.source) });
  const requestedOwner = input.mapOwnerId === null ? null : programIdOf(host, input.mapOwnerId, context);
  const request = { ...input, mapOwnerId: requestedOwner };
  const source = sourceOf(host, request);
  const { bytes } = source;
  const object = readNamedObject({ bytes, path: source.fileName }, { nativeByteOrderOnly: true });
  const specs = selectPrograms(object, request.programs).map((spec) =>
    spec.type === "freplace" ? replaced().withTargetId(host, spec, context) : spec,
  );
  for (const { type } of specs) {
    context.requireCapabilities(capabilitiesOf(type), `loading ${factsOf(type).display} program`);
  }
  const forLibbpf = objectForLibbpf(
    bytes,
    object,
    specs.map(({ name }) => name),
  );
  const application = request.application === null ? {} : { [APPLICATION_KEY]: request.application };
  return {
    ...source,
    object,
    forLibbpf,
    specs,
    globals: decodeGlobals(request, { bytes, object }),
    maps: planMaps(host, { ...forLibbpf, bytes, object, request }),
    metadata: { ...request.metadata, ...application },
    requestedOwner,
    keep: request.keep === true,
    restored: [],
  };
}

/** The loaded objects and the rows that will describe them. */
interface Loaded {
  readonly loaded: LoadedObject;
  readonly records: readonly ProgramRecord[];
}

interface ToPin extends Loaded {
  readonly maps: MapPlan;
}

function loadIntoKernel(host: Host, plan: LoadPlan): Promise<LoadedObject> {
  const loading = host.kernel.load({
    ...plan.forLibbpf,
    name: objectName(plan.fileName),
    programs: plan.specs.map((spec) => (spec.type === "freplace" ? replaced().toReplace(host, spec) : spec)),
    alongside: loadedAlongside(plan.object, plan.specs, plan.forLibbpf.along),
    globals: placeGlobals(plan.object, plan.globals),
    ...plan.maps,
  });
  return loading.catch(async (thrown: unknown) => {
    const { withSource } = await import("../load/refusal.ts");
    const refusal = withSource(thrown, plan.bytes);
    const isReplacing = refusal instanceof BpfmanError && plan.specs.some(({ type }) => type === "freplace");
    throw isReplacing ? await replaced().explained(host, refusal) : refusal;
  });
}

/** Returns the file name without directory and extension, in the characters libbpf allows in names. */
function objectName(path: string): string {
  const base = path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  return base.replace(/[^A-Za-z0-9_]/g, "_") || "object";
}

/**
 * Returns the rows for the loaded programs. The programs of one load share the object's maps, which the first of them
 * owns unless an owner was named.
 */
function recordsOf(host: Host, plan: LoadPlan, loaded: LoadedObject): ProgramRecord[] {
  const { paths } = host.pins;
  const kernelOf = new Map(loaded.programs.map((program) => [program.name, program]));
  const programs = plan.specs.map((spec) => kernelOf.get(spec.name) as LoadedProgram);
  const owner = plan.requestedOwner ?? (programs[0] as LoadedProgram).kernel.id;
  const pinByName = new Set(plan.object.maps.filter((map) => map.pinByName).map((map) => map.name));
  const now = host.now();
  const bytecodeDigest = host.files.digest(plan.bytes);
  const bytecodePath = host.files.bytecodePath(bytecodeDigest);

  const pinOf = (name: string): Pick<ProgramMap, "pinPath" | "foreign"> => {
    const shared = plan.maps.reuse.get(name);
    if (shared?.foreign) return { pinPath: shared.path, foreign: true };
    return { pinPath: shared?.path ?? (pinByName.has(name) ? paths.sharedMap(name) : paths.map(owner, name)) };
  };
  const entriesOf = (name: string): Pick<ProgramMap, "entries"> => {
    const entries = plan.maps.maxEntries.get(name);
    return entries === undefined ? {} : { entries };
  };
  const reached = new Map(loaded.alongside.map((program) => [program.name, program.kernel.mapIds]));
  const idsOf = ({ name, kernel }: LoadedProgram): Set<MapId> => {
    const names = plan.forLibbpf.along.get(name) ?? [];
    return new Set([...kernel.mapIds, ...names.flatMap((each) => reached.get(each) ?? [])]);
  };
  // A map that none of them uses exists for its pin, which stays as long as one of them does.
  const used = new Set(programs.flatMap((program) => [...idsOf(program)]));
  const mapsOf = (program: LoadedProgram): ProgramMap[] =>
    loaded.maps
      .filter(({ id }) => idsOf(program).has(id) || !used.has(id))
      .map(({ id, name, internal }) => ({
        id,
        name,
        ...(internal ? { pinPath: null } : pinOf(name)),
        ...entriesOf(name),
      }));

  return plan.specs.map((spec, index) => {
    const program = programs[index] as LoadedProgram;
    const { id } = program.kernel;
    const was = plan.restored[index]?.record;
    return {
      ...spec,
      id,
      bytecodePath,
      sourcePath: plan.sourcePath,
      absoluteSourcePath: plan.absoluteSourcePath,
      image: plan.image,
      license: plan.object.license ?? "",
      gplCompatible: program.kernel.gplCompatible,
      globals: Object.fromEntries(plan.globals),
      pinPath: paths.program(id),
      mapPinPath: paths.mapDirectory(owner),
      mapOwnerId: owner === id ? null : owner,
      requestedMapOwnerId: was?.requestedMapOwnerId === null ? null : plan.requestedOwner,
      maps: mapsOf(program),
      metadata: plan.metadata,
      createdAt: was?.createdAt ?? now,
      loadedAt: program.kernel.loadedAt,
      bytecodeDigest,
      keep: plan.keep,
    };
  });
}

/** Returns the names of the maps without a pin: those this load created, or reuses by ID. */
const unpinnedMaps = (loaded: LoadedObject, { reuse }: MapPlan): ReadonlySet<string> =>
  new Set(
    loaded.maps
      .filter(({ name, internal }) => !internal && (reuse.get(name)?.path ?? null) === null)
      .map(({ name }) => name),
  );

/** Pins every map that has no pin yet. */
async function pinMaps(host: Host, steps: Plan, { loaded, records, maps }: ToPin): Promise<void> {
  const unpinned = unpinnedMaps(loaded, maps);
  const pins = new Map<string, Pin>();
  for (const record of records) {
    for (const { name, id, pinPath } of record.maps)
      if (pinPath !== null && unpinned.has(name)) pins.set(name, mapPin(pinPath, id));
  }
  const directory = records[0]?.mapPinPath as string;
  const needsDirectory = [...pins.values()].some(({ path }) => path.startsWith(`${directory}/`));
  if (needsDirectory && !host.pins.exists(directory)) {
    await steps.step(
      `make map directory ${directory}`,
      () => host.pins.makeDirectory(directory),
      () => void host.pins.removeDirectory(directory),
    );
  }
  for (const [name, pin] of pins) {
    await steps.step(
      `pin map ${name}`,
      () => loaded.pinMap(name, pin.path),
      () => removePins(host, [pin]),
    );
    await steps.step(`open map ${name} to others`, () => host.pins.openMap(pin.path));
  }
}

/**
 * Loads and pins. An unpinned program disappears with this process, so the rows that state the intent are written after
 * the load, which provides the IDs, and before the first pin, which is the first thing to outlive the process.
 */
export async function load(host: Host, planned: LoadPlan, context: Context): Promise<LoadAnswer> {
  return carryOut(context, async (steps) => {
    const beganMs = performance.now();
    const loaded = await steps.step("load into the kernel", () => loadIntoKernel(host, planned));
    try {
      const records = recordsOf(host, planned, loaded);
      context.note({
        programs: records.map((record) => record.id),
        verified_instructions: loaded.programs.reduce((sum, { kernel }) => sum + kernel.verifiedInstructions, 0),
        load_ms: Number((performance.now() - beganMs).toFixed(2)),
      });
      await steps.step(
        "write the pending rows",
        () => host.store.transaction(() => records.forEach((record) => host.store.insertProgram(record, "pending"))),
        (_, clean) => {
          if (clean) host.store.transaction(() => records.forEach((record) => host.store.deleteProgram(record.id)));
        },
      );
      const [{ bytecodePath }] = records as [ProgramRecord];
      await steps.step(
        "save the bytecode",
        () => host.files.saveBytecode(bytecodePath, planned.bytes),
        () => {
          if (host.store.bytecodeUses(bytecodePath) <= records.length) host.files.removeBytecode(bytecodePath);
        },
      );
      await pinMaps(host, steps, { loaded, records, maps: planned.maps });
      for (const record of records) {
        await steps.step(
          `pin program ${record.id}`,
          () => loaded.pinProgram(record.name, record.pinPath),
          () => removePins(host, [programPin(record.pinPath, record.id)]),
        );
      }
      await steps.step("finish the rows", () =>
        host.store.transaction(() => {
          for (const record of records) host.store.setProgramState(record.id, "ready");
          for (const [index, was] of planned.restored.entries()) {
            host.store.earlierBoots().comeBack(was, (records[index] as ProgramRecord).id);
          }
        }),
      );
      const kernelOf = new Map(loaded.programs.map(({ kernel }) => [kernel.id, kernel]));
      const programs = records.map((record) => ({ record, kernel: kernelOf.get(record.id) as KernelProgram }));
      return { programs: loadedAnswers(host, programs) };
    } finally {
      loaded.close();
    }
  });
}

export const implementation = operation({
  request: loadRequest,
  prepare: fetchImage,
  check: (host: Host, input: LoadInput, context: Context) => void planLoad(host, input, context),
  async run(host: Host, input: LoadInput, context: Context) {
    const answer = await load(host, planLoad(host, input, context), context);
    if (input.supersede === true) {
      const { unloadSuperseded } = await import("../load/supersede.ts");
      const loaded = answer.programs.flatMap(({ record }) => (record === null ? [] : programId(record.program_id)));
      await unloadSuperseded(host, loaded, context);
    }
    return answer;
  },
});
