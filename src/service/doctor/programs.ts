/** Compares the rows of programs with the kernel, their pins, and the copies of their object files. */
import { OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import { mapPin, programPin } from "../../domain/pin.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { mapUsers } from "../removal/map-users.ts";
import { removeLink } from "../removal/remove-link.ts";
import { removeProgram } from "../removal/remove-program.ts";
import { checking, type Found, finding, type Mend } from "./finding.ts";
import { lookAtPin, pinningAgain } from "./pinning.ts";
import type { Rows } from "./rows.ts";

export const checkPrograms = (host: Host, { programs }: Rows, context: Context): Found[] =>
  programs.flatMap((record) =>
    checking(`program ${record.id}`, () => [
      ...checkObject(host, record, context),
      ...checkMaps(host, record, programs),
      ...checkBytecode(host, record),
    ]),
  );

const nameOf = ({ id, name }: ProgramRecord): string => `program ${id} "${name}"`;

function checkObject(host: Host, record: ProgramRecord, context: Context): Found[] {
  const { id, pinPath } = record;
  const found = lookAtPin(host, programPin(pinPath, id));
  if (found === "there") return [];
  const evidence = { program_id: id, pin: pinPath };
  if (found !== "missing") {
    const what = `at the pin of ${nameOf(record)} is ${found.other}`;
    return [finding("pin-foreign", what, { ...evidence, found: found.other })];
  }
  if (host.kernel.program(id) === null) {
    const forget = async (): Promise<void> => {
      for (const link of host.store.links(id)) await removeLink(host, { record: link, state: "ready" }, context);
      await removeProgram(host, { record, state: "ready" }, mapUsers(host, [record]), context);
    };
    const mend = { stage: "programs", action: `forget ${nameOf(record)} and its links`, run: forget } as const;
    return [
      finding("program-gone", `${nameOf(record)} is recorded, but neither pinned nor in the kernel`, evidence, {
        mend,
      }),
    ];
  }
  const mend = pinningAgain(host, programPin(pinPath, id));
  return [finding("program-unpinned", `${nameOf(record)} has lost its pin`, evidence, { mend })];
}

function checkMaps(host: Host, record: ProgramRecord, programs: readonly ProgramRecord[]): Found[] {
  return record.maps.flatMap(({ id, name, pinPath, foreign }) => {
    // A pin of somebody else's is theirs to remove.
    if (pinPath === null || foreign) return [];
    const found = lookAtPin(host, mapPin(pinPath, id));
    const isGone = host.kernel.map(id) === null;
    // Without a user and a pin, a map is gone, and nobody misses it.
    if (found === "there" || (found === "missing" && isGone)) return [];
    const evidence = { program_id: record.id, map: name, map_id: id, pin: pinPath };
    if (found === "missing") {
      const mend = pinningAgain(host, mapPin(pinPath, id));
      return [finding("map-unpinned", `map "${name}" of ${nameOf(record)} has lost its pin`, evidence, { mend })];
    }
    const what = `at the pin of map "${name}" of ${nameOf(record)} is ${found.other}`;
    const isOurs = programs.some((other) =>
      other.maps.some((map) => map.pinPath === pinPath && `map ${map.id}` === found.other),
    );
    const others = record.maps.filter((map) => map.id !== id);
    const maps = isGone ? others : [...others, { id, name, pinPath: null }];
    const mend: Mend = {
      stage: "rest",
      action: `record that map "${name}" of ${nameOf(record)} is not pinned`,
      run: () => host.store.setMaps(record.id, maps),
    };
    return [finding("pin-foreign", what, { ...evidence, found: found.other }, isGone || isOurs ? { mend } : {})];
  });
}

/** Returns the digest of a file; null if it does not exist or cannot be read. */
function digestAt(host: Host, path: string): string | null {
  try {
    return host.files.digest(host.files.readObject(path, OBJECT_BYTES_MAX));
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return null;
    throw thrown;
  }
}

function checkBytecode(host: Host, record: ProgramRecord): Found[] {
  const { id, bytecodeDigest: digest, bytecodePath: path, absoluteSourcePath: source } = record;
  if (digest === null) return [];
  const now = digestAt(host, path);
  if (now === digest) return [];
  const code = now === null ? "bytecode-lost" : "bytecode-changed";
  const what = `the copy of the object file of ${nameOf(record)} ${now === null ? "is missing" : "is not what was loaded"}`;
  const isThere = source !== null && digestAt(host, source) === digest;
  const save = (from: string): void => host.files.saveBytecode(path, host.files.readObject(from, OBJECT_BYTES_MAX));
  const drop = (): void => {
    host.store.forgetBytecode(id);
    host.files.removeBytecode(path);
  };
  const mend = !isThere
    ? { action: `record that the object file of ${nameOf(record)} is lost`, run: drop }
    : { action: `copy the object file of ${nameOf(record)} again from ${source}`, run: () => save(source) };
  const evidence = {
    program_id: id,
    path,
    recorded_sha256: digest,
    found_sha256: now,
    same_file: isThere ? source : null,
  };
  return [finding(code, what, evidence, { mend: { stage: "rest", ...mend } })];
}
