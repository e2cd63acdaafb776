/**
 * Adapts objects for libbpf, which does not support everything that compilers produce and other loaders accept, and fails
 * on some parts that bpfman never loads. The adapted object is the one that is checked (sound.ts) and listed, so the
 * checks see exactly the bytes that libbpf gets.
 */
import { KIND, typeOf } from "./btf.ts";
import { type ElfSymbol, SHT, STB, STT } from "./elf.ts";
import { ElfDraft } from "./elf-draft.ts";
import { withModernMaps } from "./legacy-maps.ts";
import { isCode, type OpenObject } from "./open-object.ts";
import { isExtern } from "./sound.ts";
import { TEXT } from "./program-layout.ts";

/** Returns the adapted object, or the same one if nothing needs to change. Throws what its `refuse` makes. */
export function forLibbpf(original: OpenObject): OpenObject {
  return withModernMaps(withPublicPrograms(original));
}

/**
 * Makes static functions in program sections global. They are programs too, and the kernel never sees how they were
 * declared, but libbpf rejects a whole object that has one.
 */
function withPublicPrograms(object: OpenObject): OpenObject {
  const { sections, symbols } = object;
  const isProgram = (index: number | null) => {
    const section = index === null ? undefined : sections[index];
    return section !== undefined && isCode(section) && section.name !== TEXT;
  };
  let draft: ElfDraft | null = null;
  for (const { index, type, binding, section } of symbols.named) {
    if (type !== STT.func || binding !== STB.local || !isProgram(section)) continue;
    draft ??= new ElfDraft(object);
    draft.changeSymbol(index, { binding: STB.global, type });
  }
  return draft?.finish() ?? object;
}

/** The kernel symbols without which libbpf rejects the object. */
export const requiredExterns = ({ symbols }: OpenObject): readonly ElfSymbol[] =>
  symbols.named.filter((symbol) => isExtern(symbol) && symbol.binding === STB.global);

/**
 * Makes kernel symbols optional. libbpf rejects a whole object if this kernel lacks a symbol that is not weak, or if BTF does not
 * describe a symbol, as with those that another loader fills in.
 */
export function withOptionalExterns(object: OpenObject, unused: readonly ElfSymbol[]): OpenObject {
  const { sections, symbols } = object;
  if (unused.length === 0) return object;
  const described = describedNames(object);
  const draft = new ElfDraft(object);
  const unknown = new Set<number>();
  for (const symbol of unused) {
    const isKnown = described.has(symbols.nameOf(symbol));
    if (!isKnown) unknown.add(symbol.index);
    draft.changeSymbol(symbol.index, { binding: isKnown ? STB.weak : STB.local, type: STT.none });
  }
  // libbpf checks the references of all programs, including those that it does not load.
  for (const relocations of unknown.size === 0 ? [] : sections.filter(({ type }) => type === SHT.rel)) {
    draft.dropRelocations(relocations, (_, symbol) => unknown.has(symbol));
  }
  return draft.finish();
}

/** Returns the names of the functions and variables in BTF. */
function describedNames(object: OpenObject): ReadonlySet<string> {
  const btf = object.btf();
  const types = btf === null ? [] : Array.from(btf.places.keys(), (id) => typeOf(btf, id));
  return new Set(
    types
      .filter(({ kind }) => kind === KIND.function || kind === KIND.variable)
      .map(({ nameAt }) => btf?.strings.name(nameAt) ?? ""),
  );
}
