/**
 * Checks that an object can safely be passed to libbpf, which runs in this process, is not written for untrusted files,
 * and takes write positions and loop counts from them. These are the checks known to be missing in libbpf 1.1 and
 * newer.
 */
import { EXTERNS_MAX, LIBBPF_LOOKS_MAX, TEXT_FUNCTIONS_MAX } from "../domain/limits.ts";
import { checkRelocationRecords } from "./btf-ext.ts";
import { type Elf, type ElfSymbol, type NamedSection, SHT, STB, STT, sectionFields } from "./elf.ts";
import { hasOffset, inOrder, isCode, type OpenObject, RELOCATION_BYTES, type SymbolTable } from "./open-object.ts";
import { callsIn, INSTRUCTION_BYTES, LOAD_IMMEDIATE_64, TEXT } from "./program-layout.ts";
import { checkBtf } from "./sound-btf.ts";

/** If there are several sections with one of these names, libbpf uses the last and bpfman the first. */
const SINGLE = [".BTF", ".BTF.ext", ".maps", "license", "version", ".struct_ops", ".struct_ops.link"];
/** Sections whose data libbpf accesses by size, although some section types have no data. */
const WITH_BYTES = [".BTF", ".BTF.ext", ".maps"];
/** Relocation sections that libbpf does not read. */
const UNREAD = /^\.rel\.(debug_|BTF$|BTF\.ext$)/;
const MAP_SLOT_BYTES = 8;

/** Throws INVALID_OBJECT for anything that could crash the process in libbpf or keep it busy indefinitely. */
export function checkForLibbpf(object: OpenObject): void {
  const { elf, sections } = object;
  const { refuse } = elf;
  const single = new Set<string>();
  for (const { name, type } of sections) {
    if (!SINGLE.includes(name)) continue;
    if (single.has(name)) {
      const named = sections.filter((section) => section.name === name);
      throw refuse(`it has ${named.length} sections "${name}" instead of one`);
    }
    if (WITH_BYTES.includes(name) && type !== SHT.progbits)
      throw refuse(`its section "${name}" has no bytes in the file`);
    single.add(name);
  }
  const { named, count, nameBytes } = object.symbols;
  const filled = sections.filter((section) => isCode(section) && section.size > 0);
  const code = new Map(filled.map((section) => [section.index, readCode(elf, section)]));
  const functions = checkFunctions(elf, { named, nameBytes }, code);
  checkRelocations(object);
  for (const each of code.values()) if (each.section.name !== TEXT) checkCalls(object, each);
  const externs = named.filter(isExtern).length;
  if (externs > EXTERNS_MAX)
    throw refuse(`it uses ${externs} kernel functions and variables, more than ${EXTERNS_MAX}`);
  const { types, variables } = checkTypes(object);
  const looks = (count + types + sections.length) * (functions + code.size + externs + variables);
  if (looks > LIBBPF_LOOKS_MAX) throw refuse("it has so many symbols and types that loading it would take minutes");
}

/** Externs as libbpf defines them: kernel variables and functions. */
export const isExtern = ({ undefined: nowhere, type, binding }: ElfSymbol) =>
  nowhere && type === STT.none && binding !== STB.local;

const readCode = (elf: Elf, section: NamedSection) => ({ section, bytes: sectionFields(elf, section, "instructions") });
type Code = ReturnType<typeof readCode>;

/** libbpf copies functions according to their symbols, and writes the second half of a constant after the first. */
function checkFunctions(
  elf: Elf,
  { named, nameBytes }: Pick<SymbolTable, "named" | "nameBytes">,
  code: ReadonlyMap<number, Code>,
): number {
  let [functions, inText] = [0, 0];
  for (const { type, section: index, value, size, nameAt } of named) {
    const here = type === STT.func && index !== null ? code.get(index) : undefined;
    if (here === undefined) continue;
    const { section, bytes } = here;
    const reason =
      size === 0 || value % INSTRUCTION_BYTES !== 0 || size % INSTRUCTION_BYTES !== 0
        ? "does not begin and end between instructions"
        : value + size > section.size
          ? "reaches beyond it"
          : bytes.bytes[value + size - INSTRUCTION_BYTES] === LOAD_IMMEDIATE_64
            ? "ends in half an instruction"
            : nameAt >= nameBytes
              ? "has a name beyond the names of symbols"
              : null;
    if (reason !== null)
      throw elf.refuse(`its function at ${value} of section "${section.name}" (name ${nameAt}) ${reason}`);
    functions++;
    if (section.name === TEXT) inText++;
  }
  if (inText > TEXT_FUNCTIONS_MAX)
    throw elf.refuse(`it has ${inText} functions in ${TEXT}, more than ${TEXT_FUNCTIONS_MAX}`);
  return functions;
}

const isRead = ({ type, name }: NamedSection): boolean => type === SHT.rel && !UNREAD.test(name);

function checkRelocations(object: OpenObject): void {
  const { elf, sections } = object;
  for (const table of sections) {
    if (!isRead(table)) continue;
    const bad = (reason: string) => elf.refuse(`its relocations "${table.name}" ${reason}`);
    const target = sections[table.info];
    if (target === undefined || target.type === SHT.null)
      throw bad(`are for section ${table.info}, which does not exist`);
    if (table.entrySize !== RELOCATION_BYTES)
      throw bad(`have ${table.entrySize} bytes each instead of ${RELOCATION_BYTES}`);
    const width = target.name === ".maps" ? MAP_SLOT_BYTES : 1;
    const { offsets, largest } = object.relocations(table);
    if (largest >= 0 && largest + width > target.size) {
      const offset = offsets.find((each) => each + width > target.size);
      throw bad(`include one for byte ${offset} of section "${target.name}", which has ${target.size} bytes`);
    }
  }
}

/**
 * Called functions are in .text, so a call from another section has a relocation. Without one, libbpf before 1.3 frees
 * memory twice.
 */
function checkCalls(object: OpenObject, { section, bytes }: Code): void {
  const calls = callsIn(bytes.bytes, 0, bytes.length);
  if (calls.length === 0) return;
  const tables = object.relocationTables(section.index).filter(isRead);
  const relocated = inOrder(tables.map((table) => object.relocations(table)));
  const at = calls.find((call) => !hasOffset(relocated, call));
  if (at === undefined) return;
  throw object.elf.refuse(`its section "${section.name}" calls a function at ${at} without saying which`);
}

function checkTypes(object: OpenObject): { readonly types: number; readonly variables: number } {
  const [btf, ext] = [object.btf(), object.fields(".BTF.ext", "BTF.ext")];
  if (btf === null) return { types: 0, variables: 0 };
  const variables = checkBtf(btf);
  if (ext !== null) checkRelocationRecords(ext, btf);
  return { types: btf.places.length, variables };
}
