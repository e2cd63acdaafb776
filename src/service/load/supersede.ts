/** Unloads what newly loaded programs take the place of. */
import type { ProgramId } from "../../domain/ids.ts";
import { UUID_KEY } from "../../domain/program.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { deletePrograms } from "../removal/delete.ts";
import { inOrderOfRemoval } from "../removal/remove-program.ts";

/** Unloads all others with the same {@link UUID_KEY} in their metadata. What cannot be unloaded stays, with a warning. */
export async function unloadSuperseded(host: Host, loaded: readonly ProgramId[], context: Context): Promise<void> {
  const programs = host.store.programs();
  const uuid = programs.find(({ id }) => id === loaded[0])?.metadata[UUID_KEY];
  if (uuid === undefined) return;
  const older = programs.filter(({ id, metadata }) => metadata[UUID_KEY] === uuid && !loaded.includes(id));
  if (older.length === 0) return;
  context.log.info("unloading superseded programs", { programs: older.map(({ id }) => id) });
  try {
    await deletePrograms(host, inOrderOfRemoval(older), [], context);
  } catch (cause) {
    context.log.warn("could not unload superseded programs", { reason: reasonOf(cause) });
  }
}
