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
  const braces = bracesIn(code);
  const sections = [...code.matchAll(SECTION)];
  const found: Declared[] = [];
  for (const [index, match] of sections.entries()) {
    const start = match.index;
    const end = start + match[0].length;
    const quoted = start + match[0].indexOf('"') + 1;
    const section = text.slice(quoted, quoted + (match[1]?.length ?? 0));
    if (section === ".maps") {
      const one = mapAt(code, { start, end, braces });
      if (one !== null) found.push(one);
    } else if (!DATA.test(section)) {
      const one = programAt(code, { start, end, next: sections[index + 1]?.index ?? code.length, braces });
      if (one !== null) found.push({ ...one, detail: section });
    }
  }
  return found;
}

/** The place of the brace that goes with another, for both of each pair, from one pass: sources are typed halfway. */
type Braces = ReadonlyMap<number, number>;

function bracesIn(code: string): Braces {
  const pairs = new Map<number, number>();
  const open: number[] = [];
  for (const { index, 0: brace } of code.matchAll(/[{}]/g)) {
    if (brace === "{") {
      open.push(index);
      continue;
    }
    const other = open.pop();
    if (other === undefined) continue;
    pairs.set(other, index);
    pairs.set(index, other);
  }
  return pairs;
}

interface Place {
  /** Of the section. */
  readonly start: number;
  readonly end: number;
  readonly braces: Braces;
}

/** The head of a program ends before the next section. */
function programAt(code: string, { start, end, next, braces }: Place & { readonly next: number }): Declared | null {
  const until = code.slice(end, next);
  const length = until.search(/[{;]/);
  if (length < 0 || until[length] === ";") return null;
  const headEnd = end + length;
  const head = until.slice(0, length);
  let depth = 0;
  let seen = 0;
  for (const { 1: word = "", 2: argument, index } of head.matchAll(/\b([A-Za-z_]\w*)\s*\(\s*([A-Za-z_]\w*)?/g)) {
    for (; seen < index; seen++) depth += head[seen] === "(" ? 1 : head[seen] === ")" ? -1 : 0;
    // Within parentheses, it is an argument of an attribute.
    if (word === "__attribute__" || depth > 0) continue;
    const name = HEAD_MACRO.test(word) ? argument : word;
    if (name === undefined) return null;
    const nameStart = end + head.indexOf(name, index + (name === word ? 0 : word.length));
    const close = braces.get(headEnd);
    const bodyEnd = close === undefined ? code.length : close + 1;
    return { kind: "program", name, detail: "", start, end: bodyEnd, nameStart, headEnd };
  }
  return null;
}

/** How far before its section the name of a map is. */
const MAP_NAME_MAX = 1024;

/** `struct { … } name SEC(".maps");` */
function mapAt(code: string, { start: section, end: sectionEnd, braces }: Place): Declared | null {
  const from = Math.max(0, section - MAP_NAME_MAX);
  let text = code.slice(from, section).trimEnd();
  if (text.endsWith("]")) text = text.slice(0, Math.max(0, text.lastIndexOf("["))).trimEnd();
  let length = 0;
  while (/^\w/.test(text.at(-1 - length) ?? "")) length++;
  const name = text.slice(text.length - length);
  if (!/^[A-Za-z_]/.test(name)) return null;
  const nameStart = from + text.length - length;
  const close = code.slice(from, nameStart).trimEnd().length - 1 + from;
  const open = code[close] === "}" ? (braces.get(close) ?? null) : null;
  const type = open === null ? null : /__uint\s*\(\s*type\s*,\s*(\w+)/.exec(code.slice(open, nameStart));
  const declaration = open === null ? -1 : code.slice(Math.max(0, open - MAP_NAME_MAX), open).lastIndexOf("struct");
  const start = open === null ? nameStart : declaration < 0 ? open : Math.max(0, open - MAP_NAME_MAX) + declaration;
  const semicolon = code.slice(sectionEnd, sectionEnd + MAP_NAME_MAX).indexOf(";");
  const end = semicolon < 0 ? sectionEnd : sectionEnd + semicolon + 1;
  return { kind: "map", name, detail: type?.[1] ?? "", start, end, nameStart, headEnd: end };
}
