/**
 * Demangles names of C++ functions (Itanium C++ ABI, 5.1 "External Names") and legacy Rust names, which have the same
 * form, to what users type: without parameters and template arguments. Names that this code cannot read are treated as
 * having no such form.
 */

/** The ABI's standard abbreviations. */
const STANDARD: Readonly<Record<string, string>> = {
  t: "std",
  a: "std::allocator",
  b: "std::basic_string",
  s: "std::string",
  i: "std::istream",
  o: "std::ostream",
  d: "std::iostream",
};
const ANONYMOUS = /^_GLOBAL_[._$]N/;
/** The last part of a Rust name: a hash. */
const RUST_HASH = /^h[0-9a-f]{16}$/;
/** `$LT$` and the like, which encode characters that C names cannot contain. */
const RUST_ESCAPES: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

/** Reads forward and returns null for anything unknown. Never reads beyond the end. */
class Reader {
  at = 0;
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  peek(): string {
    return this.text[this.at] ?? "";
  }

  take(wanted: string): boolean {
    if (!this.text.startsWith(wanted, this.at)) return false;
    this.at += wanted.length;
    return true;
  }

  /** Reads an identifier such as `6handle`. */
  identifier(): string | null {
    const digits = /^[1-9][0-9]{0,5}/.exec(this.text.slice(this.at, this.at + 6))?.[0];
    if (digits === undefined) return null;
    const start = this.at + digits.length;
    const end = start + Number(digits);
    if (end > this.text.length) return null;
    this.at = end;
    return this.text.slice(start, end);
  }

  skip(set: string): void {
    while (this.peek() !== "" && set.includes(this.peek())) this.at++;
  }
}

/**
 * Skips `I … E` with its contents: only the lengths of names, literals, and whatever ends with an E matter for finding
 * its end. Returns false if there is none.
 */
function skipArguments(reader: Reader): boolean {
  let depth = 0;
  do {
    const next = reader.peek();
    if (next === "") return false;
    if (/[1-9]/.test(next)) {
      if (reader.identifier() === null) return false;
      continue;
    }
    reader.at++;
    switch (next) {
      case "I":
      case "J":
      case "N":
      case "X":
      case "F":
        depth++;
        break;
      case "E":
        depth--;
        break;
      case "L":
        if (!skipLiteral(reader)) return false;
        break;
      case "S":
        if (!(reader.peek() in STANDARD)) reader.skip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        reader.at++;
        break;
      case "T":
        reader.skip("0123456789");
        reader.at++;
        break;
      case "A":
        reader.skip("0123456789");
        break;
      case "D":
        // DT … E and Dt … E contain an expression; the others have one more letter.
        if (reader.peek() === "T" || reader.peek() === "t") depth++;
        reader.at++;
        break;
      default:
    }
  } while (depth > 0);
  return true;
}

/** Skips `Li42E`, `L4Mode2E`, `L_Z3foovE` after the L, where digits are not lengths of names. */
function skipLiteral(reader: Reader): boolean {
  const named = reader.identifier() !== null;
  const end = reader.text.indexOf("E", reader.at);
  if (end < 0 || (!named && /[NISZ]/.test(reader.text.slice(reader.at, end)))) return false;
  reader.at = end + 1;
  return true;
}

/** Reads one part of a name, and skips ABI tags and template arguments after it. */
function part(reader: Reader, before: string | undefined): string | null {
  let name: string | null = null;
  if (reader.peek() === "S") {
    const short = STANDARD[reader.text[reader.at + 1] ?? ""];
    if (short === undefined) return null;
    reader.at += 2;
    name = short;
  } else if (/^[CD][0-5]/.test(reader.text.slice(reader.at, reader.at + 2)) && before !== undefined) {
    const own = before.slice(before.lastIndexOf(":") + 1);
    name = reader.peek() === "C" ? own : `~${own}`;
    reader.at += 2;
  } else {
    // Internal linkage.
    reader.take("L");
    name = reader.identifier();
  }
  if (name === null) return null;
  while (reader.take("B")) if (reader.identifier() === null) return null;
  if (reader.peek() === "I" && !skipArguments(reader)) return null;
  return ANONYMOUS.test(name) ? "(anonymous namespace)" : name;
}

/** Reads parts up to the terminating E; returns null if one is unknown. */
function nested(reader: Reader): string[] | null {
  reader.skip("rVKRO");
  const parts: string[] = [];
  while (!reader.take("E")) {
    const next = part(reader, parts.at(-1));
    if (next === null) return null;
    parts.push(next);
  }
  return parts;
}

/** Returns null for `std` alone, as before `St3foov`: the name then follows. */
function plain(reader: Reader): string[] | null {
  const first = part(reader, undefined);
  if (first === null) return null;
  if (first !== "std") return [first];
  const second = part(reader, undefined);
  return second === null ? null : [first, second];
}

const rustPart = (name: string): string =>
  name
    .replace(/^_(?=\$)/, "")
    .replaceAll("..", "::")
    .replace(/\$(\w+)\$/g, (whole, code: string) => {
      if (/^u[0-9a-f]{1,5}$/.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      return RUST_ESCAPES[code] ?? whole;
    });

/**
 * Returns `app::Server::handle` for `_ZN3app6Server6handleEi`; null if it is not a function's mangled name, or one that
 * is not supported: operators, local functions, copies made by the compiler (`.isra.0`).
 */
export function qualifiedName(mangled: string): string | null {
  const reader = new Reader(mangled);
  if (!reader.take("_Z") || mangled.includes(".cold") || /\.(isra|part|constprop|lto_priv)\./.test(mangled))
    return null;
  const parts = reader.take("N") ? nested(reader) : plain(reader);
  if (parts === null || parts.length === 0) return null;
  if (parts.length > 1 && reader.at === mangled.length && RUST_HASH.test(parts.at(-1) ?? "")) {
    return parts.slice(0, -1).map(rustPart).join("::");
  }
  // A function's name is followed by its parameter types, a variable's by nothing.
  return reader.at === mangled.length ? null : parts.join("::");
}

/**
 * Returns a substring of all mangled names of a function, whatever its parameters, to search for in millions of bytes;
 * null if there is none.
 */
export function mangledPart(name: string): string | null {
  const last = name.slice(name.lastIndexOf(":") + 1).replace(/^~/, "");
  return /^[\w$]+$/.test(last) ? `${Buffer.byteLength(last)}${last}` : null;
}
