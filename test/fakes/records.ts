import { mapId, programId } from "../../src/domain/ids.ts";
import type { LinkDetails } from "../../src/domain/link.ts";
import type { ProgramRecord } from "../../src/domain/program.ts";
import type { LinkDraft } from "../../src/platform/store.ts";

/** A program's record with something in every field. */
export function programRecordOf(id: number, changes: Partial<ProgramRecord> = {}): ProgramRecord {
  return {
    id: programId(id),
    name: "count_packets",
    type: "tcx",
    attachFunction: null,
    section: "tcx/ingress",
    bytecodePath: `/var/lib/bpfman/bytecode/sha256/${"0f".repeat(32)}`,
    sourcePath: "counter.o",
    absoluteSourcePath: "/home/me/counter.o",
    image: null,
    license: "Dual BSD/GPL",
    gplCompatible: true,
    globals: { LIMIT: new Uint8Array([0, 1, 254, 255]) },
    pinPath: `/run/bpfman/fs/prog_${id}`,
    mapPinPath: `/run/bpfman/fs/maps/${id}`,
    mapOwnerId: null,
    requestedMapOwnerId: null,
    maps: [
      { id: mapId(31), name: "a_map_with_a_long_name", pinPath: `/run/bpfman/fs/maps/${id}/a_map_with_a_long_name` },
      { id: mapId(32), name: ".rodata", pinPath: null },
    ],
    metadata: { owner: "me", "with spaces": 'and "quotes" ✓' },
    createdAt: new Date("2026-01-02T03:04:05.678Z"),
    loadedAt: new Date("2026-01-02T03:04:05.600Z"),
    bytecodeDigest: "0f".repeat(32),
    keep: false,
    ...changes,
  };
}

const TRACEPOINT: LinkDetails = { kind: "tracepoint", group: "sched", name: "sched_switch" };

/** A draft of a link of that program. */
export function linkDraftOf(program: number, details: LinkDetails = TRACEPOINT): LinkDraft {
  return {
    programId: programId(program),
    details,
    metadata: { a: "b" },
    createdAt: new Date("2026-02-03T04:05:06.007Z"),
  };
}
