/** The kernel's symbols in /proc/kallsyms: lines of `ADDRESS TYPE NAME` and, for modules, a tab and `[MODULE]`. */
import { readFileSync } from "node:fs";
import type { KernelFunction } from "../../platform/kernel.ts";
import { attempt } from "../kernel-failure.ts";

const readSymbols = (): Buffer =>
  attempt({ action: "read the kernel's symbols", code: "KERNEL_CALL_FAILED" }, () => readFileSync("/proc/kallsyms"));

const NEWLINE = 0x0a;
const TAB = 0x09;
const isFunction = (type: string | undefined): boolean => type !== undefined && /^[tTwW]$/.test(type);

interface Line {
  /** Zero if the caller may not see addresses. */
  readonly address: bigint;
  readonly type: string | undefined;
  readonly end: number;
}

function lineAt(symbols: Buffer, start: number): Line | null {
  const end = symbols.indexOf(NEWLINE, start);
  if (end < 0) return null;
  const [address = "", type] = symbols.toString("latin1", start, end).split(" ", 2);
  return { address: BigInt(`0x${address || "0"}`), type, end };
}

/**
 * Returns the distance to the next symbol, since the kernel lists its own symbols by address. Returns null if the next
 * symbol has no higher address (it belongs to a module), or addresses are hidden (kernel.kptr_restrict).
 */
function distanceToNext(symbols: Buffer, line: Line): number | null {
  for (let next = lineAt(symbols, line.end + 1); next !== null; next = lineAt(symbols, next.end + 1)) {
    if (next.address !== line.address) {
      return next.address > line.address ? Number(next.address - line.address) : null;
    }
    if (line.address === 0n) return null;
  }
  return null;
}

/** Returns all functions with that name. Throws KERNEL_CALL_FAILED. */
export function functionsNamed(name: string): KernelFunction[] {
  const symbols = readSymbols();
  const wanted = Buffer.from(` ${name}`);
  const found: KernelFunction[] = [];
  for (let at = symbols.indexOf(wanted); at >= 0; at = symbols.indexOf(wanted, at + 1)) {
    const behind = symbols[at + wanted.length];
    if (behind === NEWLINE || behind === TAB) found.push(...functionIn(symbols, symbols.lastIndexOf(NEWLINE, at) + 1));
  }
  return found.filter((each) => each.name === name);
}

/** Returns all functions that start at that address: one may have several names. Throws KERNEL_CALL_FAILED. */
export function functionsAt(address: bigint): KernelFunction[] {
  const symbols = readSymbols();
  const wanted = Buffer.from(`${address.toString(16).padStart(16, "0")} `);
  const found: KernelFunction[] = [];
  for (let at = symbols.indexOf(wanted); at >= 0; at = symbols.indexOf(wanted, at + 1)) {
    if (at === 0 || symbols[at - 1] === NEWLINE) found.push(...functionIn(symbols, at));
  }
  return found;
}

/** Returns the function in the line that starts at this offset; null if it is not a function. */
function functionIn(symbols: Buffer, start: number): KernelFunction[] {
  const line = lineAt(symbols, start);
  if (line === null || !isFunction(line.type)) return [];
  const [, , rest = ""] = symbols.toString("latin1", start, line.end).split(" ", 3);
  const [name = "", module] = rest.split("\t", 2);
  const { address } = line;
  return [{ name, module: module?.replace(/^\[|\]$/g, "") ?? null, address, size: distanceToNext(symbols, line) }];
}

/** Padding that compilers insert before functions; nothing can be attached there. */
const PADDING = /^__(pfx|cfi)_/;

/** Yields the names of functions of the kernel and its modules that start with `prefix`. Throws KERNEL_CALL_FAILED. */
export function* kernelFunctions(prefix = ""): Generator<string> {
  if (prefix !== "") return yield* functionsFrom(readSymbols(), prefix);
  for (const line of readSymbols().toString("latin1").split("\n")) {
    const [, type, name] = line.split(" ", 3);
    if (name !== undefined && isFunction(type) && !PADDING.test(name)) yield name.split("\t", 1)[0] ?? name;
  }
}

/** Avoids parsing every line, because it runs while a user is typing. */
function* functionsFrom(symbols: Buffer, prefix: string): Generator<string> {
  const wanted = Buffer.from(` ${prefix}`);
  for (let at = symbols.indexOf(wanted); at >= 0; at = symbols.indexOf(wanted, at + 1)) {
    const start = symbols.lastIndexOf(NEWLINE, at) + 1;
    const end = symbols.indexOf(NEWLINE, at);
    const [, type, name = ""] = symbols.toString("latin1", start, end < 0 ? symbols.length : end).split(" ", 3);
    if (name.startsWith(prefix) && isFunction(type) && !PADDING.test(name)) yield name.split("\t", 1)[0] ?? name;
  }
}
