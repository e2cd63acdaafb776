/** The life of a session as LSP has it: initialize, then anything, then shutdown and exit. */
import { RefusedRequest } from "./errors.ts";
import { INVALID_REQUEST, NOT_INITIALIZED } from "./protocol.ts";

export class Life {
  #phase: "new" | "open" | "shut" = "new";

  /** Whether `exit` is what the client announced. */
  get isShut(): boolean {
    return this.#phase === "shut";
  }

  /** Looks at each request in the order in which they came. Throws RefusedRequest for one that has no place now. */
  admit(method: string): void {
    if (this.#phase === "shut") throw new RefusedRequest(INVALID_REQUEST, "the session was shut down");
    if (method === "initialize") {
      if (this.#phase === "open") throw new RefusedRequest(INVALID_REQUEST, "the session is initialized already");
      this.#phase = "open";
      return;
    }
    if (this.#phase === "new") {
      throw new RefusedRequest(NOT_INITIALIZED, "the session is not initialized: the first request must be initialize");
    }
    if (method === "shutdown") this.#phase = "shut";
  }

  /** `initialize` was refused for what it said. */
  initializeFailed(): void {
    if (this.#phase === "open") this.#phase = "new";
  }
}
