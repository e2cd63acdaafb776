/** Finds the buffer of events that a user names by itself or by the program that fills it. */
import { type MapId, mapId, programId } from "../../domain/ids.ts";
import { ID_MAX } from "../../domain/limits.ts";
import { mapTypeJson } from "../../domain/map-type-words.ts";
import { hasEvents } from "../../domain/map-kinds.ts";
import { applicationOf } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import { ifPermitted } from "../../inspect/map-answer.ts";
import { findMap, type KnownMap } from "../map/find-map.ts";

/** Maps of globals have no pin, and cannot be looked at by everybody. */
const isBuffer = (host: Host, id: MapId): boolean => {
  const map = ifPermitted(() => host.kernel.map(id));
  return map !== null && hasEvents(map);
};

/** The buffers that a program of the kernel fills. */
const buffersOf = (host: Host, program: number): readonly MapId[] =>
  (host.kernel.program(programId(program))?.mapIds ?? []).filter((id) => isBuffer(host, id));

const ambiguous = (named: string, reason: string, hint: string, ids: readonly MapId[]): BpfmanError =>
  new BpfmanError("MAP_AMBIGUOUS", `"${named}" ${reason}`, { details: { map: named, map_ids: ids }, hint });

const bufferless = (whose: string, details: Record<string, unknown>): BpfmanError =>
  new BpfmanError("MAP_NOT_FOUND", `${whose} has no ring buffer and no perf buffer`, {
    details,
    hint: '"bpfman trace" prints what programs say with bpf_printk',
  });

/** The only buffer of programs. Throws MAP_AMBIGUOUS. */
function only(host: Host, named: string, programs: readonly number[]): KnownMap | null {
  const ids = [...new Set(programs.flatMap((program) => buffersOf(host, program)))];
  const [first, ...more] = ids;
  if (first === undefined) return null;
  if (more.length === 0) return findMap(host, first);
  const names = ids.map((id) => `${id} (${findMap(host, id).name})`).join(", ");
  throw ambiguous(
    named,
    `has ${ids.length} buffers of events: ${names}`,
    "name one by its id, or as PROGRAM_ID/NAME",
    ids,
  );
}

/** Throws NOT_SUPPORTED for a map through which no events pass. */
function requireBuffer(host: Host, known: KnownMap): KnownMap {
  const map = host.kernel.map(known.id);
  if (map === null || hasEvents(map)) return known;
  throw new BpfmanError(
    "NOT_SUPPORTED",
    `map ${known.id} (${known.name}), of type ${mapTypeJson(map.type)}, is neither a ring buffer nor a perf buffer`,
    { details: { map_id: known.id }, hint: `"bpfman map dump ${known.id}" prints what is in it` },
  );
}

function byNumber(host: Host, number: number): KnownMap {
  const named = String(number);
  const ofProgram = only(host, named, [number]);
  const map = mapId(number);
  if (ofProgram !== null) {
    if (ofProgram.id === map || !isBuffer(host, map)) return ofProgram;
    const hint = `name the program's as ${named}/${ofProgram.name}, or as ${ofProgram.id}`;
    throw ambiguous(named, "is a program and another one's buffer of events", hint, [map, ofProgram.id]);
  }
  if (isBuffer(host, map)) return findMap(host, number);
  const program = host.kernel.program(programId(number));
  if (program !== null) {
    throw bufferless(`program ${number} (${program.name})`, { program_id: number });
  }
  return requireBuffer(host, findMap(host, number));
}

/**
 * Returns the ring buffer or perf buffer that is named like a map, or by a program that has no other: by its ID, its name or its
 * application. Throws as `findMap` does, and NOT_SUPPORTED.
 */
export function findSource(host: Host, named: string | number): KnownMap {
  const word = String(named);
  if (/^\d+$/.test(word) && Number(word) >= 1 && Number(word) <= ID_MAX) return byNumber(host, Number(word));
  try {
    return requireBuffer(host, findMap(host, named));
  } catch (thrown) {
    // Looking among the maps of others takes a capability, which the buffer of a program of ours does not need.
    const isUnknown = thrown instanceof BpfmanError && ["MAP_NOT_FOUND", "PERMISSION_DENIED"].includes(thrown.code);
    if (!isUnknown) throw thrown;
    const programs = host.store
      .programs()
      .filter(({ name, metadata }) => name === word || applicationOf(metadata) === word);
    const found = only(
      host,
      word,
      programs.map(({ id }) => id),
    );
    if (found !== null) return found;
    const [program, ...more] = programs;
    if (program === undefined) {
      const isName = thrown.code === "MAP_NOT_FOUND" && !word.includes("/");
      throw isName ? thrown.with({ message: `no map and no program is named "${word}"` }) : thrown;
    }
    throw bufferless(more.length === 0 ? `program ${program.id} (${program.name})` : `application "${word}"`, {
      program_ids: programs.map(({ id }) => id),
    });
  }
}
