import type { DispatcherKey, DispatcherRecord } from "../domain/dispatcher.ts";
import { type LinkId, linkId, type ProgramId, programId } from "../domain/ids.ts";
import type { LinkRecord } from "../domain/link.ts";
import type { ProgramRecord } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { programOfTwin } from "../inspect/program-answer.ts";
import type { Facts } from "../domain/history.ts";
import type { Host } from "../platform/host.ts";
import type { Context } from "./operation.ts";

type Noting = Pick<Context, "note">;

/** Loaded only for names. */
const names = () => require("./find-named.ts") as typeof import("./find-named.ts");

/** Tells the history what was found, or else what was looked for. */
function noted<Id>(what: string, named: string, find: () => Id, found: (id: Id) => Facts, { note }: Noting): Id {
  try {
    const id = find();
    note(found(id));
    return id;
  } catch (thrown) {
    note({ place: `${what} ${named}` });
    throw thrown;
  }
}

/** Returns the ID of a program that is given by its ID or a name. Throws PROGRAM_NOT_FOUND, PROGRAM_AMBIGUOUS. */
export const programIdOf = (host: Host, named: number | string, context: Noting): ProgramId =>
  typeof named === "number"
    ? programId(named)
    : noted(
        "program",
        named,
        () => names().programNamed(host, named),
        (id) => ({ programs: [id] }),
        context,
      );

/** Returns the ID of a link that is given by its ID or its program's name. Throws LINK_NOT_FOUND, LINK_AMBIGUOUS. */
export const linkIdOf = (host: Host, named: number | string, context: Noting): LinkId =>
  typeof named === "number"
    ? linkId(named)
    : noted(
        "link of",
        named,
        () => names().linkNamed(host, named),
        (id) => ({ links: [id] }),
        context,
      );

/** Returns null if what is looked for is not there, and that is to be ignored. */
export function unlessMissing<T>(ignored: boolean, find: () => T): T | null {
  try {
    return find();
  } catch (thrown) {
    if (ignored && thrown instanceof BpfmanError && thrown.kind === "not-found") return null;
    throw thrown;
  }
}

/**
 * Returns the program that is now in the place of one that had this ID, and what became of that; null if there is none.
 * `bootId`: the boot in which it had the ID, if that is known.
 */
export function successorOf(
  host: Host,
  id: ProgramId,
  bootId?: string,
): { readonly record: ProgramRecord; readonly told: string } | null {
  const first = host.store.successor(id, bootId);
  // Later ones are of this boot. Another program may have had such an ID before the reboot.
  const after = (each: ProgramId): ProgramId | undefined => {
    const found = host.store.successor(each);
    return found?.restored === false ? found.id : undefined;
  };
  let next = first?.id;
  // Each took its predecessor's place later, so this comes to an end unless rows are damaged.
  for (const seen = new Set<ProgramId>(); next !== undefined && !seen.has(next); next = after(next)) {
    const record = host.store.program(next);
    const how = first?.restored === true ? "restored as" : "replaced by";
    if (record !== null) return { record, told: `program ${id} was ${how} program ${record.id}` };
    seen.add(next);
  }
  return null;
}

/** Creates the error for an ID that a program had before another one took its place, or before a reboot; null for others. */
function programBefore(host: Host, id: ProgramId): BpfmanError | null {
  const next = successorOf(host, id);
  if (next !== null) {
    return new BpfmanError("PROGRAM_NOT_FOUND", next.told, {
      details: { program_id: id, successor_id: next.record.id },
      hint: `name program ${next.record.id}`,
    });
  }
  if (
    !host.store
      .earlierBoots()
      .programs()
      .some((program) => program.id === id)
  )
    return null;
  return new BpfmanError("PROGRAM_NOT_FOUND", `program ${id} was loaded before the reboot, and is not restored`, {
    details: { program_id: id },
    hint: "bpfman restore loads it again; bpfman restore --dry-run says what it would do",
  });
}

/** Creates the error for a program ID without a row. It depends on whether the kernel knows the ID. */
export function programMissing(host: Host, id: ProgramId): BpfmanError {
  const before = programBefore(host, id);
  if (before !== null) return before;
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

/** Creates the error for a link ID without a row. One that waits for `restore` is not attached, but not gone either. */
export function linkMissing(host: Host, id: LinkId): BpfmanError {
  const past = host.store.earlierBoots();
  if ([...past.wishes(), ...past.programs().flatMap(({ links }) => links)].some(({ record }) => record.id === id)) {
    return new BpfmanError("LINK_NOT_FOUND", `link ${id} was attached before the reboot, and is not restored`, {
      details: { link_id: id },
      hint: `bpfman restore attaches it again; bpfman restore --forget link:${id} drops it`,
    });
  }
  return new BpfmanError("LINK_NOT_FOUND", `link ${id} does not exist`, { details: { link_id: id } });
}

/** Throws LINK_NOT_FOUND. */
export function requireLink(host: Host, id: number): LinkRecord {
  const record = host.store.link(linkId(id));
  if (record === null) throw linkMissing(host, linkId(id));
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
