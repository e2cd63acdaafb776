import type { ChainedKind } from "../domain/kinds.ts";
import { ElfDraft } from "./elf-draft.ts";
import { MAPS_SECTION } from "./maps.ts";
import type { OpenObject } from "./open-object.ts";
import { withSlotPrototype } from "./prototype.ts";

/**
 * Returns an object's bytes to load a program's twin from: the program has the prototype of a dispatcher's slot, and maps
 * have no initial values, because libbpf would put copies of programs into arrays that are already filled. Returns null if BTF
 * does not describe the program, because it was compiled without -g.
 */
export function bytesForTwin(object: OpenObject, program: string, hook: ChainedKind): Uint8Array | null {
  const [section, btf] = [object.section(".BTF"), object.btf()];
  // .BTF.ext says which function has which type.
  if (section === undefined || btf === null || object.section(".BTF.ext") === undefined) return null;
  const types = withSlotPrototype(btf, program, hook);
  if (types === null) return null;
  const draft = new ElfDraft(object);
  draft.replace(section.index, types);
  const maps = object.section(MAPS_SECTION);
  for (const values of maps === undefined ? [] : object.relocationTables(maps.index)) {
    draft.dropRelocations(values, () => true);
  }
  return draft.finish().bytes;
}
