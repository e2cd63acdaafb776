/** Deletes programs with whatever depends on them: links first, and programs before the owner of their maps. */
import type { DeleteAnswer } from "../../domain/answer.ts";
import type { LinkId, ProgramId } from "../../domain/ids.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { mapUsers } from "./map-users.ts";
import { removeLink } from "./remove-link.ts";
import { removeProgram, requireNotReplaced, requireOwnPins } from "./remove-program.ts";

/**
 * Returns a program and, with `recursive`, those that use its maps or replace functions of it, and in turn what depends on
 * those, in the order of removal. Programs that stay keep the maps.
 */
export function withDependants(
  host: Host,
  program: ProgramRecord,
  { recursive }: { readonly recursive: boolean },
): ProgramRecord[] {
  if (!recursive) return [program];
  const all = host.store.programs();
  const seen = new Set<ProgramId>();
  const inOrder = (each: ProgramRecord): ProgramRecord[] => {
    if (seen.has(each.id)) return [];
    seen.add(each.id);
    const sharing = all.filter(({ mapOwnerId }) => mapOwnerId === each.id);
    return [...[...host.store.programsReplacing(each.id), ...sharing].flatMap(inOrder), each];
  };
  return inOrder(program);
}

/**
 * Detaches and unloads the programs in that order. `before` lists links that were already detached. Deletions cannot be
 * undone: on failure, the details list what was deleted, and the next call continues from there.
 */
export async function deletePrograms(
  host: Host,
  programs: readonly ProgramRecord[],
  before: readonly LinkId[],
  context: Context,
): Promise<DeleteAnswer> {
  for (const program of programs) requireNotReplaced(host, program, programs);
  const users = mapUsers(host, programs);
  const deleted: ProgramId[] = [];
  const detached = [...before];
  try {
    for (const program of programs) {
      requireOwnPins(host, program, users);
      for (const record of host.store.links(program.id)) {
        await removeLink(host, { record, state: "ready" }, context);
        detached.push(record.id);
      }
      await removeProgram(host, { record: program, state: "ready" }, users, context);
      deleted.push(program.id);
    }
  } catch (cause) {
    if (!(cause instanceof BpfmanError) || deleted.length + detached.length === 0) throw cause;
    throw cause.with({ details: { deleted, detached } });
  } finally {
    context.note({ programs: deleted, links: detached });
  }
  return { deleted, detached };
}
