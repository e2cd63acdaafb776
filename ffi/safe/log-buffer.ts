import { allocate, type Memory, textUntilNul } from "../memory.ts";

/** Room for the verifier's log. Its pages take no memory until something is written to them. */
export class LogBuffer {
  readonly memory: Memory;

  constructor(bytes: number) {
    this.memory = allocate(bytes);
  }

  /** Empty when nothing was written. */
  text(): string {
    return textUntilNul(this.memory);
  }
}
