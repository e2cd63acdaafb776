import { isChainedKind } from "../../domain/kinds.ts";
import type { LoadAnswer } from "../../domain/answer.ts";
import { type ProgramId, programId } from "../../domain/ids.ts";
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
import { programAnswer } from "../../inspect/program.ts";
import { type ObjectForLibbpf, objectForLibbpf } from "../../object/object-file.ts";
import { readNamedObject } from "../read-object.ts";
import type { Host } from "../../platform/host.ts";
import type { PulledImage } from "../../platform/images.ts";
import type { LoadedObject, LoadedProgram } from "../../platform/kernel.ts";
import type { Sources } from "../../platform/runtime.ts";
import { checkLabelled } from "../load/labelled.ts";
import { decodeGlobals, placeGlobals } from "../load/globals.ts";
import { selectPrograms } from "../load/select.ts";
import { type MapPlan, planMaps } from "../load/shared-maps.ts";
import { type Context, operation } from "../operation.ts";
import { removePins } from "../own-pins.ts";
import { carryOut, type Plan } from "../plan.ts";
import { removeTestDispatchers } from "../remove-program.ts";
import { type LoadRequest, loadRequest } from "../requests/load.ts";

type Source = LoadRequest["source"];

/** A request, with the image if it named one. */
interface LoadInput extends Omit<LoadRequest, "source"> {
  readonly source: Extract<Source, { file: string }> | { readonly pulled: PulledImage };
}

/** All that is known before the first effect. */
interface LoadPlan {
  readonly bytes: Uint8Array;
  readonly object: ObjectFile;
  readonly forLibbpf: ObjectForLibbpf;
  /** Name of the file, also that in an image. */
  readonly fileName: string;
  /** As it was named; null for an image. */
  readonly sourcePath: string | null;
  readonly absoluteSourcePath: string | null;
  readonly image: ImageSource | null;
  readonly specs: readonly ProgramSpec[];
  readonly globals: ReadonlyMap<string, Uint8Array>;
  readonly maps: MapPlan;
  readonly metadata: Metadata;
  readonly requestedOwner: ProgramId | null;
}

/** Fetches the image before the lock is taken: nobody waits for a network. */
async function fetchImage(sources: Sources, request: LoadRequest, context: Context): Promise<LoadInput> {
  const { source } = request;
  if (source.image === undefined) return { ...request, source };
  const { url, registryAuth, pullPolicy } = source.image;
  const images = await sources.openImages();
  const pulled = await images.pull({ reference: url, registryAuth, pullPolicy }, context);
  checkLabelled(pulled, request.programs);
  return { ...request, source: { pulled } };
}

function sourceOf(host: Host, { source }: LoadInput) {
  if ("pulled" in source) {
    const { object, source: image } = source.pulled;
    return { bytes: object.bytes, fileName: object.name, sourcePath: null, absoluteSourcePath: null, image };
  }
  const sourcePath = source.file;
  const absoluteSourcePath = host.files.absolute(sourcePath);
  const bytes = host.files.readObject(absoluteSourcePath, OBJECT_BYTES_MAX);
  return { bytes, fileName: absoluteSourcePath, sourcePath, absoluteSourcePath, image: null };
}

function plan(host: Host, request: LoadInput): LoadPlan {
  const source = sourceOf(host, request);
  const { bytes } = source;
  const object = readNamedObject({ bytes, path: source.fileName }, { nativeByteOrderOnly: true });
  const application = request.application === null ? {} : { [APPLICATION_KEY]: request.application };
  const specs = selectPrograms(object, request.programs);
  const names = specs.map(({ name }) => name);
  const forLibbpf = objectForLibbpf(bytes, object, names);
  return {
    ...source,
    object,
    forLibbpf,
    specs,
    globals: decodeGlobals(request.globalData),
    maps: planMaps(host, { bytes, object, unused: forLibbpf.unusedMaps, request }),
    metadata: { ...request.metadata, ...application },
    requestedOwner: request.mapOwnerId === null ? null : programId(request.mapOwnerId),
  };
}

/** What the kernel has, and the rows that will say so. */
interface Loaded {
  readonly loaded: LoadedObject;
  readonly records: readonly ProgramRecord[];
}

interface ToPin extends Loaded {
  readonly maps: MapPlan;
}

async function loadIntoKernel(host: Host, plan: LoadPlan): Promise<LoadedObject> {
  const chained = plan.specs.some((spec) => isChainedKind(spec.type));
  const ext = chained && (await host.kernel.feature("ext")).available;
  const loading = host.kernel.load({
    ...plan.forLibbpf,
    name: objectName(plan.fileName),
    programs: plan.specs.map(({ name, type, attachFunction }) => {
      return { name, type, attachFunction, asExtension: ext && isChainedKind(type) };
    }),
    globals: placeGlobals(plan.object, plan.globals),
    ...plan.maps,
    testDispatchers: {
      recorded: (path) => host.store.recordedPins(path)[0] ?? null,
      record: (pin) => host.store.recordPins([pin]),
    },
  });
  return loading.catch(async (thrown: unknown) => {
    const { withSource } = await import("../load/refusal.ts");
    throw withSource(thrown, plan.bytes);
  });
}

/** File name without folder and ending, in the characters that libbpf allows in names. */
function objectName(path: string): string {
  const base = path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  return base.replace(/[^A-Za-z0-9_]/g, "_") || "object";
}

/**
 * The rows for what was loaded. The programs of one load share the object's maps: the first of them owns the maps,
 * unless an owner was named.
 */
function recordsOf(host: Host, plan: LoadPlan, loaded: LoadedObject): ProgramRecord[] {
  const { paths } = host.pins;
  const kernelOf = new Map(loaded.programs.map((program) => [program.name, program]));
  const programs = plan.specs.map((spec) => kernelOf.get(spec.name) as LoadedProgram);
  const owner = plan.requestedOwner ?? (programs[0] as LoadedProgram).kernel.id;
  const pinByName = new Set(plan.object.maps.filter((map) => map.pinByName).map((map) => map.name));
  const createdAt = host.now();

  const pinOf = (name: string): Pick<ProgramMap, "pinPath" | "foreign"> => {
    const shared = plan.maps.reuse.get(name);
    if (shared?.foreign) return { pinPath: shared.path, foreign: true };
    return { pinPath: shared?.path ?? (pinByName.has(name) ? paths.sharedMap(name) : paths.map(owner, name)) };
  };
  // What none of them uses is there for its pin, which stays for as long as one of them does.
  const used = new Set(programs.flatMap(({ kernel }) => kernel.mapIds));
  const mapsOf = (program: LoadedProgram): ProgramMap[] =>
    loaded.maps
      .filter(({ id }) => program.kernel.mapIds.includes(id) || !used.has(id))
      .map(({ id, name, internal }) => ({ id, name, ...(internal ? { pinPath: null } : pinOf(name)) }));

  return plan.specs.map((spec, index) => {
    const program = programs[index] as LoadedProgram;
    const { id } = program.kernel;
    return {
      ...spec,
      id,
      bytecodePath: host.files.bytecodePath(id),
      sourcePath: plan.sourcePath,
      absoluteSourcePath: plan.absoluteSourcePath,
      image: plan.image,
      license: plan.object.license ?? "",
      gplCompatible: program.kernel.gplCompatible,
      globals: Object.fromEntries(plan.globals),
      pinPath: paths.program(id),
      mapPinPath: paths.mapFolder(owner),
      mapOwnerId: owner === id ? null : owner,
      requestedMapOwnerId: plan.requestedOwner,
      maps: mapsOf(program),
      metadata: plan.metadata,
      createdAt,
      loadedAt: program.kernel.loadedAt,
    };
  });
}

/** Names of the maps without a pin: those that this load made, or knows by their id. */
const unpinnedMaps = (loaded: LoadedObject, { reuse }: MapPlan): ReadonlySet<string> =>
  new Set(
    loaded.maps
      .filter(({ name, internal }) => !internal && (reuse.get(name)?.path ?? null) === null)
      .map(({ name }) => name),
  );

/** Pins every map that has no pin yet, each once. */
async function pinMaps(host: Host, steps: Plan, { loaded, records, maps }: ToPin): Promise<void> {
  const unpinned = unpinnedMaps(loaded, maps);
  const pins = new Map<string, Pin>();
  for (const record of records) {
    for (const { name, id, pinPath } of record.maps)
      if (pinPath !== null && unpinned.has(name)) pins.set(name, mapPin(pinPath, id));
  }
  const folder = records[0]?.mapPinPath as string;
  const needsFolder = [...pins.values()].some(({ path }) => path.startsWith(`${folder}/`));
  if (needsFolder && !host.pins.exists(folder)) {
    await steps.step(
      `make map folder ${folder}`,
      () => host.pins.makeFolder(folder),
      () => void host.pins.removeFolder(folder),
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
 * Loads and pins. A program that nobody pinned dies with this process, so the rows that say what is intended are written
 * after the load, which gives the ids, and before the first pin, which is the first thing that outlives us.
 */
async function load(host: Host, request: LoadInput, context: Context): Promise<LoadAnswer> {
  const planned = plan(host, request);
  return carryOut(context, async (steps) => {
    const beganMs = performance.now();
    await steps.step(
      "expect a test dispatcher, which the load may make",
      () => {},
      () => removeTestDispatchers(host, host.store.programs()),
    );
    const loaded = await steps.step("load into the kernel", () => loadIntoKernel(host, planned));
    try {
      const records = recordsOf(host, planned, loaded);
      context.note({
        programs: records.map((record) => record.id),
        verified_instructions: loaded.programs.map((program) => program.kernel.verifiedInstructions),
        load_ms: Number((performance.now() - beganMs).toFixed(2)),
      });
      await steps.step(
        "write the pending rows",
        () => host.store.transaction(() => records.forEach((record) => host.store.insertProgram(record, "pending"))),
        (_, clean) => {
          if (clean) host.store.transaction(() => records.forEach((record) => host.store.deleteProgram(record.id)));
        },
      );
      for (const record of records) {
        await steps.step(
          `save the bytecode of program ${record.id}`,
          () => host.files.saveBytecode(record.id, planned.bytes),
          () => void host.files.removeBytecode(record.id),
        );
      }
      await pinMaps(host, steps, { loaded, records, maps: planned.maps });
      for (const record of records) {
        await steps.step(
          `pin program ${record.id}`,
          () => loaded.pinProgram(record.name, record.pinPath),
          () => removePins(host, [programPin(record.pinPath, record.id)]),
        );
      }
      await steps.step("finish the rows", () =>
        host.store.transaction(() => records.forEach((record) => host.store.setProgramState(record.id, "ready"))),
      );
      return { programs: records.map((record) => programAnswer(host, record, "loaded")) };
    } finally {
      loaded.close();
    }
  });
}

export const implementation = operation({ request: loadRequest, prepare: fetchImage, run: load });
