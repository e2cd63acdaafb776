import { type Pointer, ptr } from "bun:ffi";

/** Memory that native code may read and write: it does not move while it is reachable. */
export type Memory = Uint8Array<ArrayBuffer>;

/**
 * Zeroed memory of `bytes` bytes at a stable address; the only way this program makes memory for native code.
 * A small `new Uint8Array(n)` keeps its bytes inside the garbage-collected heap and moves them away as soon as its
 * `.buffer` is touched; one made over an ArrayBuffer never does.
 */
export function allocate(bytes: number): Memory {
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw new RangeError(`cannot allocate ${bytes} bytes`);
  return new Uint8Array(new ArrayBuffer(bytes));
}

/** A stable copy of `bytes`. An empty input gives one zero byte, because native code cannot be handed nothing. */
export function copyOf(bytes: Uint8Array): Memory {
  const memory = allocate(Math.max(1, bytes.length));
  memory.set(bytes);
  return memory;
}

/** `text` as UTF-8 with a NUL at its end. Throws RangeError when it holds a NUL itself: C would see a shorter string. */
export function cString(text: string): Memory {
  if (text.includes("\0")) throw new RangeError("the text holds a NUL character");
  return copyOf(new TextEncoder().encode(`${text}\0`));
}

/** The text up to the first NUL of `bytes`, or all of it. Bytes that are no UTF-8 become U+FFFD. */
export function textUntilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The address of `memory`. It says nothing about how long: see {@link keepAlive}. */
export const addressOf = (memory: Memory): Pointer => ptr(memory);

const sink = { bits: 0 };

/**
 * Holds memory whose address was stored as a number (inside a struct) until this line. The collector does not see such
 * numbers, and could free the memory while the kernel works on it.
 */
export function keepAlive(...memories: readonly Uint8Array[]): void {
  for (const memory of memories) sink.bits ^= memory[0] ?? 0;
}
