/**
 * Rebuilds the record of a pinned program of which there is no copy, from the kernel, the pins and the saved object file.
 * Metadata, globals and where the file came from are not there.
 */
import { type MapId, type ProgramId, programId } from "../../domain/ids.ts";
import type { ObjectFile } from "../../domain/object-file.ts";
import { KINDS } from "../../domain/kinds.ts";
import { programPin } from "../../domain/pin.ts";
import type { ProgramMap, ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { readObject } from "../../object/object-file.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelProgram } from "../../platform/kernel.ts";
import { savedBytecode } from "../saved-bytecode.ts";
import { isThere } from "./pinning.ts";

/** Returns null if the pin holds something else, or if the object file does not tell which of its programs it is. */
export function adoptable(host: Host, id: ProgramId): ProgramRecord | null {
  const pinPath = host.pins.paths.program(id);
  const kernel = host.kernel.program(id);
  if (kernel === null || !isThere(host, programPin(pinPath, id))) return null;
  try {
    const saved = savedWith(host, host.kernel.wholeName(kernel));
    if (saved === null) return null;
    const { digest: bytecodeDigest, object, program } = saved;
    const { name } = program;
    const bytecodePath = host.files.bytecodePath(bytecodeDigest);
    if (program.kind === null) return null;
    // What it replaces is not in its object.
    if (program.kind === "freplace") return null;
    const attachFunction = KINDS[program.kind].needsFunction ? program.target : null;
    if (KINDS[program.kind].needsFunction && attachFunction === null) return null;
    const pinned = pinnedMaps(host);
    const used = mapsOf(host, kernel, pinned);
    const owner = ownerOf(used) ?? id;
    const maps = [...used, ...unusedMaps(host, { owner, object, used, pinned })];
    return {
      ...{ id, name, type: program.kind, attachFunction, section: program.section, bytecodePath },
      ...{ sourcePath: null, absoluteSourcePath: null, image: null, license: object.license ?? "" },
      ...{ gplCompatible: kernel.gplCompatible, globals: {}, pinPath, mapPinPath: host.pins.paths.mapDirectory(owner) },
      ...{ mapOwnerId: owner === id ? null : owner, requestedMapOwnerId: null, maps, metadata: {} },
      ...{ createdAt: kernel.loadedAt, loadedAt: kernel.loadedAt, bytecodeDigest, keep: false },
    };
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return null;
    throw thrown;
  }
}

interface Saved {
  readonly digest: string;
  readonly object: ObjectFile;
  readonly program: ObjectFile["programs"][number];
}

/** Returns the only saved object file that has a program of that name; null if none has it, or several. */
function savedWith(host: Host, name: string): Saved | null {
  const found = host.files.storedBytecode().flatMap((digest): Saved[] => {
    try {
      const bytes = savedBytecode(host, { bytecodePath: host.files.bytecodePath(digest), bytecodeDigest: digest });
      const object = readObject(bytes);
      return object.programs.filter((each) => each.name === name).map((program) => ({ digest, object, program }));
    } catch (thrown) {
      if (thrown instanceof BpfmanError) return [];
      throw thrown;
    }
  });
  return found.length === 1 ? (found[0] ?? null) : null;
}

/** Returns the pins of all maps: path -> ID. */
function pinnedMaps(host: Host): Map<string, MapId> {
  const { root } = host.pins.paths;
  const directories = [...host.pins.list(`${root}/maps`).map((owner) => `${root}/maps/${owner}`), `${root}/shared`];
  const pinned = new Map<string, MapId>();
  for (const directory of directories) {
    for (const name of host.pins.list(directory)) {
      const handle = host.kernel.openPin(`${directory}/${name}`);
      handle?.close();
      if (handle?.kind === "map") pinned.set(`${directory}/${name}`, handle.id);
    }
  }
  return pinned;
}

/** The program's maps: one without a pin is known by the name that libbpf gave it. */
function mapsOf(host: Host, { mapIds }: KernelProgram, pinned: ReadonlyMap<string, MapId>): ProgramMap[] {
  const paths = new Map([...pinned].map(([path, id]) => [id, path]));
  return mapIds.map((id) => {
    const path = paths.get(id);
    if (path !== undefined) return { id, name: path.slice(path.lastIndexOf("/") + 1), pinPath: path };
    const name = host.kernel.map(id)?.name ?? "";
    return { id, name: /\.(rodata|data|bss|kconfig)/.exec(name)?.[0] ?? name, pinPath: null };
  });
}

interface Unused {
  readonly owner: ProgramId;
  readonly object: ObjectFile;
  readonly used: readonly ProgramMap[];
  readonly pinned: ReadonlyMap<string, MapId>;
}

/** Maps of the object that the program does not use exist for their pins. */
function unusedMaps(host: Host, { owner, object, used, pinned }: Unused): ProgramMap[] {
  const { paths } = host.pins;
  return object.maps.flatMap(({ name, pinByName }) => {
    if (used.some((map) => map.name === name)) return [];
    const pinPath = pinByName ? paths.sharedMap(name) : paths.map(owner, name);
    const id = pinned.get(pinPath);
    return id === undefined ? [] : [{ id, name, pinPath }];
  });
}

function ownerOf(maps: readonly ProgramMap[]): ProgramId | null {
  const owner = maps.flatMap(({ pinPath }) => /\/maps\/([0-9]+)\//.exec(pinPath ?? "")?.[1] ?? [])[0];
  return owner === undefined ? null : programId(Number(owner));
}
