import type { Pin } from "../domain/pin.ts";
import { BpfmanError } from "./error.ts";

/** What to do about another program's pin at a path bpfman needs. */
export const NOT_OURS_HINT = `bpfman does not touch what it did not pin: move it elsewhere in that file system with "mv", and try again`;

/** Creates the error for a path where another object is pinned than the one bpfman pinned there. */
export function anotherObject(pin: Pin, found: Pick<Pin, "kind" | "id">): BpfmanError {
  const { path, kind, id } = pin;
  return new BpfmanError(
    "STATE_CONFLICT",
    `use pin "${path}": it holds ${found.kind} ${found.id}, where bpfman pinned ${kind} ${id}`,
    {
      details: { pin: path, found: { kind: found.kind, id: found.id }, expected: { kind, id } },
      hint: NOT_OURS_HINT,
    },
  );
}
