/**
 * Finds programs and maps in the text of a C source, as it is in the editor: nothing is compiled. What macros of the source
 * itself declare is not found.
 */

/** A program or a map. Offsets are in UTF-16 code units. */
export interface Declared {
  readonly kind: "program" | "map";
  readonly name: string;
  /** As in `SEC("xdp")`, or the word for the type of a map: `BPF_MAP_TYPE_HASH`; empty if there is none. */
  readonly detail: string;
  readonly start: number;
  readonly end: number;
  readonly nameStart: number;
  /** Where the body of a program begins, or a map ends. */
  readonly headEnd: number;
}

/** Whether a C source is for eBPF: by its name, or because it puts something into a section. */
export const isForBpf = (path: string, text: string): boolean =>
  path.endsWith(".bpf.c") || (path.endsWith(".c") && /\bSEC\s*\(\s*"/.test(text));

const spaces = (text: string): string => " ".repeat(text.length);

/** Replaces comments, macros and what is in quotes by spaces, so that offsets stay. */
function withoutComments(text: string): string {
  const code = text.replaceAll(/\/\*[\s\S]*?(?:\*\/|$)|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, (found) =>
    found.startsWith("/") ? spaces(found) : `${found[0]}${" ".repeat(found.length - 2)}${found.at(-1)}`,
  );
  return code.replaceAll(/^[ \t]*#[ \t]*define\b(?:\\\r?\n|.)*/gm, spaces);
}

const SECTION = /\bSEC\s*\(\s*"([^"]*)"\s*\)/g;
/** Macros of libbpf around the head of a program: `int BPF_PROG(name, …)`. */
const HEAD_MACRO = /^BPF_[A-Z0-9_]+$/;
/** Sections of data. */
const DATA = /^(license|version|\.(rodata|data|bss|kconfig|ksyms|struct_ops|text)\b)/;

export function declaredIn(text: string): Declared[] {
  const code = withoutComments(text);
  const found: Declared[] = [];
  for (const match of code.matchAll(SECTION)) {
    const start = match.index;
    const end = start + match[0].length;
    const quoted = start + match[0].indexOf('"') + 1;
    const section = text.slice(quoted, quoted + (match[1]?.length ?? 0));
    const one = section === ".maps" ? mapAt(code, start, end) : DATA.test(section) ? null : programAt(code, start, end);
    if (one !== null) found.push(one.kind === "program" ? { ...one, detail: section } : one);
  }
  return found;
}

function programAt(code: string, start: number, sectionEnd: number): Declared | null {
  const headEnd = code.indexOf("{", sectionEnd);
  const semicolon = code.indexOf(";", sectionEnd);
  if (headEnd < 0 || (semicolon >= 0 && semicolon < headEnd)) return null;
  const head = code.slice(sectionEnd, headEnd);
  for (const { 1: word = "", 2: argument, index } of head.matchAll(/\b([A-Za-z_]\w*)\s*\(\s*([A-Za-z_]\w*)?/g)) {
    if (word === "__attribute__" || word === "SEC" || isInAttribute(head, index)) continue;
    const name = HEAD_MACRO.test(word) ? argument : word;
    if (name === undefined) return null;
    const nameStart = sectionEnd + head.indexOf(name, index + (name === word ? 0 : word.length));
    return { kind: "program", name, detail: "", start, end: bodyEnd(code, headEnd), nameStart, headEnd };
  }
  return null;
}

/** Whether an offset is within parentheses: an argument of an attribute. */
function isInAttribute(head: string, offset: number): boolean {
  let depth = 0;
  for (const character of head.slice(0, offset)) depth += character === "(" ? 1 : character === ")" ? -1 : 0;
  return depth > 0;
}

function bodyEnd(code: string, from: number): number {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    if (code[at] === "{") depth++;
    else if (code[at] === "}" && --depth === 0) return at + 1;
  }
  return code.length;
}

/** `struct { … } name SEC(".maps");` */
function mapAt(code: string, section: number, sectionEnd: number): Declared | null {
  const before = /([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)?$/.exec(code.slice(Math.max(0, section - 1024), section));
  if (before === null) return null;
  const nameStart = Math.max(0, section - 1024) + before.index;
  const open = bodyStart(code, nameStart);
  const type = open === null ? null : /__uint\s*\(\s*type\s*,\s*(\w+)/.exec(code.slice(open, nameStart));
  const start = open === null ? nameStart : Math.max(code.lastIndexOf("struct", open), 0);
  const semicolon = code.indexOf(";", sectionEnd);
  const end = semicolon < 0 ? sectionEnd : semicolon + 1;
  return { kind: "map", name: before[1] ?? "", detail: type?.[1] ?? "", start, end, nameStart, headEnd: end };
}

/** Where the braces begin that end before an offset; null if something else is there. */
function bodyStart(code: string, before: number): number | null {
  const close = code.slice(0, before).trimEnd().length - 1;
  if (code[close] !== "}") return null;
  let depth = 0;
  for (let at = close; at >= 0; at--) {
    if (code[at] === "}") depth++;
    else if (code[at] === "{" && --depth === 0) return at;
  }
  return null;
}
