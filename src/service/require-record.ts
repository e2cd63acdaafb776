import type { DispatcherKey, DispatcherRecord } from "../domain/dispatcher.ts";
import { type LinkId, linkId, type ProgramId, programId } from "../domain/ids.ts";
import type { LinkRecord } from "../domain/link.ts";
import type { ProgramRecord } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { programOfTwin } from "../inspect/program-answer.ts";
import type { Host } from "../platform/host.ts";

/** Creates the error for a program ID without a row. It depends on whether the kernel knows the ID. */
export function programMissing(host: Host, id: ProgramId): BpfmanError {
  const original = programOfTwin(host, id);
  if (original !== null) {
    return new BpfmanError(
      "PROGRAM_NOT_MANAGED",
      `program ${id} is the twin of program ${original}, for which it sits in a chain`,
      {
        details: { program_id: id, twin_of: original },
        hint: `name program ${original}; its twin goes when it leaves the chain`,
      },
    );
  }
  if (host.kernel.program(id) !== null) {
    return new BpfmanError("PROGRAM_NOT_MANAGED", `program ${id} was not loaded by bpfman`, {
      details: { program_id: id },
    });
  }
  return new BpfmanError("PROGRAM_NOT_FOUND", `program ${id} does not exist`, { details: { program_id: id } });
}

/** Returns a managed program. Throws PROGRAM_NOT_FOUND, or PROGRAM_NOT_MANAGED if only the kernel knows it. */
export function requireProgram(host: Host, id: number): ProgramRecord {
  const record = host.store.program(programId(id));
  if (record === null) throw programMissing(host, programId(id));
  return record;
}

export function linkMissing(id: LinkId): BpfmanError {
  return new BpfmanError("LINK_NOT_FOUND", `link ${id} does not exist`, { details: { link_id: id } });
}

/** Throws LINK_NOT_FOUND. */
export function requireLink(host: Host, id: number): LinkRecord {
  const record = host.store.link(linkId(id));
  if (record === null) throw linkMissing(linkId(id));
  return record;
}

/** Returns the chain on a hook. Throws DISPATCHER_NOT_FOUND, also while the first revision is being created. */
export function requireDispatcher(host: Host, key: DispatcherKey): DispatcherRecord {
  const record = host.store.dispatcher(key);
  if (record !== null && record.revision > 0) return record;
  const { type, nsid, ifindex } = key;
  throw new BpfmanError("DISPATCHER_NOT_FOUND", `dispatcher ${type} ${nsid} ${ifindex} does not exist`, {
    details: { type, nsid, ifindex },
  });
}
