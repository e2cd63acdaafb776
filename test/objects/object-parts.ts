/** Where things stand in an object file of a compiler, to change them: offsets in the file, and writes at them. */
import { KIND, openBtf, typeOf } from "../../src/object/btf.ts";
import { namedSections, openElf, SHT, sectionFields, symbols } from "../../src/object/elf.ts";
import { memorySource } from "../../src/object/fields.ts";

export const btfKinds = KIND;
export type Parts = ReturnType<typeof openParts>;

const refuse = (reason: string) => {
  throw new Error(reason);
};

export function openParts(original: Uint8Array) {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const elf = openElf(memorySource(bytes), refuse);
  const sections = namedSections(elf);
  const named = (name: string) => sections.find((section) => section.name === name) ?? refuse(`no section "${name}"`);
  const btfSection = named(".BTF");
  const btf = openBtf(sectionFields(elf, btfSection, "BTF"));
  const headerBytes = view.getUint32(btfSection.offset + 4, true);
  const typesAt = btfSection.offset + headerBytes + view.getUint32(btfSection.offset + 8, true);
  const stringsAt = btfSection.offset + headerBytes + view.getUint32(btfSection.offset + 16, true);

  const btfId = (kind: number, name?: string, elements?: number): number => {
    const found = Array.from(btf.places.keys()).find((id) => {
      const type = typeOf(btf, id);
      if (id === 0 || type.kind !== kind) return false;
      if (elements !== undefined && btf.types.u32(type.tail + 8) !== elements) return false;
      return name === undefined || btf.strings.text(type.nameAt, 64) === name;
    });
    return found ?? refuse(`no type ${kind} "${name}"`);
  };
  const headersAt = Number(view.getBigUint64(40, true));
  const table = sections.find(({ type }) => type === SHT.symtab) ?? refuse("no symbols");
  const symbolNames = sectionFields(elf, sections[table.link] ?? table, "symbol names");
  return {
    bytes,
    section: (name: string) => named(name).offset,
    header: (name: string) => headersAt + named(name).index * 64,
    /** The common part of a type. */
    btfType: (...which: Parameters<typeof btfId>) => typesAt + (btf.places[btfId(...which)] ?? 0),
    btfId,
    btfStringsEnd: () => stringsAt + btf.strings.length,
    text: (text: string) =>
      bytes.indexOf(0, stringsAt) + Buffer.from(bytes.subarray(stringsAt)).indexOf(`\0${text}\0`) + 1,
    /** Over the name of a section; answers its place in the strings. */
    addText: (text: string) => {
      const at = Buffer.from(bytes.subarray(stringsAt)).indexOf("kprobe/security_task_getpgid");
      if (at < 0) return refuse("no room");
      bytes.set(Buffer.from(`${text}\0`), stringsAt + at);
      return at;
    },
    symbol: (name: string) => {
      for (const { index, nameAt } of symbols(elf, table)) {
        if (symbolNames.text(nameAt, 64) === name) return table.offset + index * 24;
      }
      return refuse(`no symbol "${name}"`);
    },
    /** The first of the CO-RE relocations. */
    relocationRecord: () => {
      const { offset } = named(".BTF.ext");
      return offset + view.getUint32(offset + 4, true) + view.getUint32(offset + 24, true) + 12;
    },
    put: (at: number, value: number) => view.setUint32(at, value, true),
    putByte: (at: number, value: number) => view.setUint8(at, value),
    putWide: (at: number, value: bigint) => view.setBigUint64(at, value, true),
    word: (at: number) => view.getUint32(at, true),
    putText: (at: number, text: string) => bytes.set(Buffer.from(text), at),
  };
}
