import type { VolumeAnswer } from "../../domain/answer.ts";
import { mapPin, type Pin } from "../../domain/pin.ts";
import { VOLUME_PROGRAM_KEY, type VolumeRecord } from "../../domain/volume.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { carryOut } from "../plan.ts";
import { type PublishVolumeRequest, publishVolumeRequest } from "../requests/volume-requests.ts";
import { removeVolume } from "../volume/remove-volume.ts";

/** The pins of the maps, by name. Throws PROGRAM_NOT_FOUND, MAP_NOT_FOUND. */
function findMaps(host: Host, { program, maps }: Pick<VolumeRecord, "program" | "maps">): Map<string, Pin> {
  // Those of the newest come first: others of that name are about to go.
  const programs = host.store
    .programs()
    .filter(({ metadata }) => metadata[VOLUME_PROGRAM_KEY] === program)
    .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  if (programs.length === 0) {
    throw new BpfmanError("PROGRAM_NOT_FOUND", `no program has the metadata ${VOLUME_PROGRAM_KEY}=${program}`, {
      details: { program },
      hint: "load it first; see the programs with: bpfman list programs",
    });
  }
  const pins = new Map<string, Pin>();
  for (const { id, name, pinPath } of programs.flatMap((each) => each.maps)) {
    if (pinPath !== null && !pins.has(name)) pins.set(name, mapPin(pinPath, id));
  }
  const unknown = maps.find((name) => !pins.has(name));
  if (unknown === undefined) return new Map(maps.map((name) => [name, pins.get(name) as Pin]));
  throw new BpfmanError("MAP_NOT_FOUND", `program "${program}" has no map "${unknown}"`, {
    details: { program, map: unknown, maps: [...pins.keys()] },
    hint:
      didYouMean(unknown, [...pins.keys()]) ?? `it has: ${[...pins.keys()].sort().join(", ") || "none with a name"}`,
  });
}

const isSame = (a: VolumeRecord, b: VolumeRecord): boolean =>
  JSON.stringify({ ...a, device: null }, Object.keys(a).sort()) ===
  JSON.stringify({ ...b, device: null }, Object.keys(a).sort());

function answer(volume: VolumeRecord, published: boolean): VolumeAnswer {
  const { id, targetPath, program, maps, readOnly, group } = volume;
  return { volume_id: id, target_path: targetPath, program, maps, read_only: readOnly, group, published };
}

/** Pins a map again in the file system of a volume. */
function pinIn(host: Host, volume: VolumeRecord, name: string, pin: Pin): void {
  const handle = host.kernel.openPin(pin);
  if (handle === null) {
    throw new BpfmanError("STATE_CONFLICT", `publish map "${name}": nothing is pinned at "${pin.path}"`, {
      details: { pin: pin.path },
      hint: "run: bpfman repair",
    });
  }
  try {
    handle.pin(host.volumes.mapPath(volume, name));
  } finally {
    handle.close();
  }
  host.volumes.openMap(volume, name);
}

async function publish(host: Host, request: PublishVolumeRequest, context: Context): Promise<VolumeAnswer> {
  context.requireCapabilities(["CAP_SYS_ADMIN"], "publishing a volume");
  const { volumeId: id, maps, ...rest } = request;
  const volume: VolumeRecord = { ...rest, id, maps: [...new Set(maps)].sort(), device: null };
  const rows = host.store.volumes();
  const row = rows.find(id);
  if (row !== null) {
    if (row.isReady && !isSame(row.record, volume)) {
      throw new BpfmanError("VOLUME_EXISTS", `volume "${id}" is published already, with other arguments`, {
        details: { volume: answer(row.record, true) },
      });
    }
    if (row.isReady && host.volumes.isPublished(row.record)) return answer(row.record, false);
  }
  const pins = findMaps(host, volume);
  // Its target was unmounted, or the runtime directory outlived the mounts in it.
  if (row !== null) await removeVolume(host, row.record);
  host.volumes.requireFree(volume.targetPath);
  await carryOut(context, async (steps) => {
    await steps.step(
      `record volume ${id}`,
      () => rows.insert(volume),
      (_, clean) => {
        if (clean) rows.delete(id);
      },
    );
    // Of one that only a lost database knew.
    await steps.step(`clear the place of volume ${id}`, () => host.volumes.remove(volume));
    const device = await steps.step(
      `make volume ${id}`,
      () => host.volumes.make(volume),
      () => host.volumes.remove(volume),
    );
    const made = { ...volume, device };
    await steps.step(`record the file system of volume ${id}`, () => rows.insert(made));
    for (const [name, pin] of pins) await steps.step(`pin map ${name}`, () => pinIn(host, volume, name, pin));
    await steps.step(`mount volume ${id}`, () => host.volumes.publish(made));
    await steps.step(`finish the row of volume ${id}`, () => rows.setReady(id, true));
  });
  return answer(volume, true);
}

export const implementation = operation({ request: publishVolumeRequest, run: publish });
