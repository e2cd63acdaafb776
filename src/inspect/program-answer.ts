/** Answers for programs: the stored record, and the current state in the kernel and on disk. */
import type { KernelProgramAnswer, MapAnswer, ProgramAnswer, ProgramRecordAnswer } from "../domain/answer.ts";
import { type MapId, type ProgramId, programId } from "../domain/ids.ts";
import { programTypeJson } from "../domain/kernel-words.ts";
import type { ProgramRecord } from "../domain/program.ts";
import type { Host } from "../platform/host.ts";
import type { KernelProgram } from "../platform/kernel.ts";
import { remembered } from "./attachment.ts";
import { linkAnswers } from "./link-answer.ts";
import { mapAnswer } from "./map-answer.ts";

export function programRecordAnswer(record: ProgramRecord): ProgramRecordAnswer {
  return {
    program_id: record.id,
    load: {
      object_path: record.bytecodePath,
      source_path: record.sourcePath,
      absolute_source_path: record.absoluteSourcePath,
      program_name: record.name,
      program_type: record.type,
      keep: record.keep,
      global_data: Object.fromEntries(Object.entries(record.globals).map(([name, bytes]) => [name, bytes.toBase64()])),
      image_source: record.image && {
        url: record.image.url,
        digest: record.image.digest,
        pull_policy: record.image.pullPolicy,
      },
      attach_func: record.attachFunction,
      map_owner_id: record.requestedMapOwnerId,
    },
    license: record.license,
    gpl_compatible: record.gplCompatible,
    handles: { pin_path: record.pinPath, map_pin_path: record.mapPinPath, map_owner_id: record.mapOwnerId },
    meta: { name: record.name, owner: "", description: "", metadata: record.metadata },
    created_at: record.createdAt.toISOString(),
    updated_at: null,
  };
}

/** What the kernel reports for a program. `record` is its stored record if bpfman manages it. */
export function kernelProgramAnswer(program: KernelProgram, record: ProgramRecord | null): KernelProgramAnswer {
  return {
    id: program.id,
    name: program.name,
    program_type: programTypeJson(program.type),
    tag: program.tag,
    loaded_at: (record?.loadedAt ?? program.loadedAt).toISOString(),
    uid: program.uid,
    has_uid: true,
    btf_id: program.btfId,
    has_btf_id: program.btfId !== 0,
    map_ids: program.mapIds,
    has_map_ids: true,
    jited_size: program.jitedSize,
    xlated_size: program.xlatedSize,
    verified_insns: program.verifiedInstructions,
    memlock: program.memlock ?? 0,
    has_memlock: program.memlock !== null,
    restricted: program.restricted,
    gpl_compatible: program.gplCompatible,
  };
}

/** The answer for a managed program. */
export function programAnswer(host: Host, record: ProgramRecord): ProgramAnswer {
  const pinOf = new Map(record.maps.map((map) => [map.id, map.pinPath]));
  return answerFor(host, record, {
    view: "current",
    kernel: host.kernel.program(record.id),
    map: (id) => mapAnswer(host, id, pinOf.get(id) ?? null),
    users: (owner) => host.store.mapUsers(owner),
  });
}

/**
 * The answers right after a load, which has just asked the kernel about each program: without statistics and map pins. The programs
 * have their maps in common.
 */
export function loadedAnswers(
  host: Host,
  programs: readonly { readonly record: ProgramRecord; readonly kernel: KernelProgram }[],
): ProgramAnswer[] {
  const common: Omit<Parts, "kernel"> = {
    view: "loaded",
    map: remembered((id) => mapAnswer(host, id, null)),
    users: remembered((owner) => host.store.mapUsers(owner)),
  };
  return programs.map(({ record, kernel }) => answerFor(host, record, { ...common, kernel }));
}

interface Parts {
  readonly view: "loaded" | "current";
  /** Null if the kernel does not have it any more. */
  readonly kernel: KernelProgram | null;
  readonly map: (id: MapId) => MapAnswer | null;
  /** The programs that use the maps of that one. */
  readonly users: (owner: ProgramId) => readonly ProgramId[];
}

function answerFor(host: Host, record: ProgramRecord, { view, kernel, map, users }: Parts): ProgramAnswer {
  const maps = (kernel?.mapIds ?? []).map(map);
  return {
    record: programRecordAnswer(record),
    status: {
      kernel: kernel && kernelProgramAnswer(kernel, record),
      stats: kernel && view === "current" ? statsOf(host, kernel) : null,
      prog_pin: record.pinPath,
      map_dir: record.mapPinPath,
      bytecode: record.bytecodePath,
      prog_pin_present: host.pins.exists(record.pinPath),
      map_dir_present: host.pins.exists(record.mapPinPath),
      bytecode_present: host.files.bytecodeExists(record.bytecodePath),
      links: view === "loaded" ? [] : linkAnswers(host, host.store.links(record.id)),
      maps: maps.filter((map): map is MapAnswer => map !== null),
      map_used_by: users(record.mapOwnerId ?? record.id),
    },
  };
}

/** Returns the program whose twin this is in one of our chains; null if it is not a twin. */
export function programOfTwin(host: Host, id: ProgramId): ProgramId | null {
  for (const record of host.store.dispatchers()) {
    for (const pin of host.store.recordedPins(host.pins.paths.revision(record, record.revision))) {
      const number = pin.id === id && pin.kind === "program" ? /\/twin_([0-9]+)$/.exec(pin.path)?.[1] : undefined;
      if (number !== undefined) return programId(Number(number));
    }
  }
  return null;
}

/** The answer for a program that is in the kernel but not ours; null if the kernel has no such ID either. */
export function foreignProgramAnswer(host: Host, id: ProgramId): ProgramAnswer | null {
  const kernel = host.kernel.program(id);
  if (kernel === null) return null;
  const maps = kernel.mapIds.map((map) => mapAnswer(host, map, null)).filter((map): map is MapAnswer => map !== null);
  const original = programOfTwin(host, id);
  return {
    record: null,
    status: {
      kernel: kernelProgramAnswer(kernel, null),
      ...(original === null ? {} : { twin_of: original }),
      stats: statsOf(host, kernel),
      prog_pin: null,
      map_dir: null,
      bytecode: null,
      prog_pin_present: false,
      map_dir_present: false,
      bytecode_present: false,
      links: [],
      maps,
      map_used_by: [],
    },
  };
}

/** Null if statistics were never enabled: zero runs and unknown are different. */
function statsOf(host: Host, kernel: KernelProgram): ProgramAnswer["status"]["stats"] {
  if (kernel.runCount === 0 && !host.kernel.countsRuns()) return null;
  return { runtime: kernel.runTimeNs, run_count: kernel.runCount, recursion_misses: kernel.recursionMisses };
}
