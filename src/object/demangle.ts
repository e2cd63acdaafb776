/**
 * Names of C++ functions (Itanium C++ ABI, 5.1 "External Names") and of Rust's older ones, which have its form: as far as
 * people write them, without parameters and template arguments. What this does not read has no such name.
 */

/** What the ABI abbreviates. */
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
/** `$LT$` and the like, which stand for what no C name can have. */
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

/** Reads forward and answers null for what it does not know; never beyond the end. */
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

  /** `6handle` */
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
 * Skips `I … E`, with all that is in it: only lengths of names, literals and what ends with an E matter for finding its
 * end. False when that is not found.
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
        // DT … E and Dt … E hold an expression; the others have one letter more.
        if (reader.peek() === "T" || reader.peek() === "t") depth++;
        reader.at++;
        break;
      default:
    }
  } while (depth > 0);
  return true;
}

/** `Li42E`, `L4Mode2E`, `L_Z3foovE` behind the L: its digits are no lengths of names. */
function skipLiteral(reader: Reader): boolean {
  const named = reader.identifier() !== null;
  const end = reader.text.indexOf("E", reader.at);
  if (end < 0 || (!named && /[NISZ]/.test(reader.text.slice(reader.at, end)))) return false;
  reader.at = end + 1;
  return true;
}

/** One part of a name, with what follows it and does not count: ABI tags and template arguments. */
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

/** The parts up to the E that ends them; null when one is not known. */
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

/** Null where `std` alone stands, as before `St3foov`: then the name follows. */
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
 * `app::Server::handle` for `_ZN3app6Server6handleEi`; null for what is no function's name of that kind, or one that this
 * does not read: operators, functions in functions, copies that the compiler made (`.isra.0`).
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
  // A function's name is followed by the types of its parameters; a variable's by nothing.
  return reader.at === mangled.length ? null : parts.join("::");
}

/**
 * What the mangled names of a function have in them, whatever its parameters, so that it can be looked for among millions
 * of bytes; null for a name that none has.
 */
export function mangledPart(name: string): string | null {
  const last = name.slice(name.lastIndexOf(":") + 1).replace(/^~/, "");
  return /^[\w$]+$/.test(last) ? `${Buffer.byteLength(last)}${last}` : null;
}
