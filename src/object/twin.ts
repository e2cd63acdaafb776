import type { ChainedKind } from "../domain/kinds.ts";
import { type Elf, namedSections, openElf, SHT, sectionFields } from "./elf.ts";
import { memorySource, type Refuse } from "./fields.ts";
import { MAPS_SECTION } from "./maps.ts";
import { withSlotPrototype } from "./prototype.ts";
import { withSections } from "./rewrite.ts";

/**
 * Returns an object's bytes to load a program's twin from: the program has the prototype of a dispatcher's slot, and maps
 * have no initial values, because libbpf would put copies of programs into arrays that are already filled. Returns null if BTF
 * does not describe the program, because it was compiled without -g.
 */
export function bytesForTwin(
  bytes: Uint8Array,
  { program, hook }: { readonly program: string; readonly hook: ChainedKind },
  refuse: Refuse,
): Uint8Array | null {
  const elf: Elf = openElf(memorySource(bytes), refuse);
  const sections = namedSections(elf);
  const byName = (name: string) => sections.find((section) => section.name === name && section.size > 0);
  const [btf, ext] = [byName(".BTF"), byName(".BTF.ext")];
  // .BTF.ext says which function has which type.
  if (btf === undefined || ext === undefined) return null;
  const types = withSlotPrototype(sectionFields(elf, btf, "BTF"), program, hook);
  if (types === null) return null;
  const values = sections.filter(({ type, info }) => type === SHT.rel && sections[info]?.name === MAPS_SECTION);
  return withSections(
    bytes,
    elf,
    new Map([[btf.index, types], ...values.map(({ index }) => [index, new Uint8Array()] as const)]),
  );
}
