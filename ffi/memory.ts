import { type Pointer, ptr } from "bun:ffi";

/** Memory that native code may read and write. Its address is stable while it is reachable. */
export type Memory = Uint8Array<ArrayBuffer>;

/**
 * Allocates `bytes` zeroed bytes at a stable address. All memory passed to native code is allocated here. A small `new
 * Uint8Array(n)` lives inside the garbage-collected heap and moves as soon as its `.buffer` is touched; a view over an
 * ArrayBuffer never moves.
 */
export function allocate(bytes: number): Memory {
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw new RangeError(`cannot allocate ${bytes} bytes`);
  return new Uint8Array(new ArrayBuffer(bytes));
}

/** Returns a stable copy of `bytes`; for empty input, a single zero byte, since native code needs a valid address. */
export function copyOf(bytes: Uint8Array): Memory {
  const memory = allocate(Math.max(1, bytes.length));
  memory.set(bytes);
  return memory;
}

/**
 * Encodes `text` as NUL-terminated UTF-8. Throws RangeError if it contains a NUL, since C would see a shorter string.
 */
export function cString(text: string): Memory {
  if (text.includes("\0")) throw new RangeError("the text holds a NUL character");
  return copyOf(new TextEncoder().encode(`${text}\0`));
}

const decoder = new TextDecoder();

/** Decodes `bytes` up to the first NUL, or all of them. Invalid UTF-8 becomes U+FFFD. */
export function textUntilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Returns the address of `memory`. The address does not keep the memory alive: see {@link keepAlive}. */
export const addressOf = (memory: Memory): Pointer => ptr(memory);

const sink = { bits: 0 };

/**
 * Keeps memory alive up to this call when its address was stored as a number (inside a struct). The garbage collector
 * does not see such numbers and could free the memory while the kernel is using it.
 */
export function keepAlive(...memories: readonly Uint8Array[]): void {
  for (const memory of memories) sink.bits ^= memory[0] ?? 0;
}
