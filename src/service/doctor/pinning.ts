/** Pins that should be there: which are missing, which hold something else, and how they are made again. */
import type { Pin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { PinnedId } from "../../platform/kernel.ts";
import type { Plan } from "../plan.ts";
import type { Mend } from "./finding.ts";

/** `other`: another object is there, or something that is no pin. */
export function lookAtPin(host: Host, pin: Pin): "there" | "missing" | { readonly other: string } {
  try {
    const handle = host.kernel.openPin(pin.path);
    if (handle === null) return "missing";
    handle.close();
    return handle.kind === pin.kind && handle.id === pin.id ? "there" : { other: `${handle.kind} ${handle.id}` };
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || thrown.code !== "STATE_CONFLICT") throw thrown;
    return { other: "something that is no pin" };
  }
}

export const isThere = (host: Host, pin: Pin): boolean => lookAtPin(host, pin) === "there";

/** Pins an object that is in the kernel at the path that its row names. Throws STATE_CONFLICT. */
export async function pinAgain(host: Host, pin: Pin, steps: Plan): Promise<void> {
  const handle = host.kernel.openObject({ kind: pin.kind, id: pin.id } as PinnedId);
  if (handle === null)
    throw new BpfmanError("STATE_CONFLICT", `pin ${pin.kind} ${pin.id} again: it has gone meanwhile`);
  const directory = pin.path.slice(0, pin.path.lastIndexOf("/"));
  try {
    if (!host.pins.exists(directory)) {
      await steps.step(
        `make directory ${directory}`,
        () => host.pins.makeDirectory(directory),
        () => void host.pins.removeDirectory(directory),
      );
    }
    await steps.step(
      `pin ${pin.kind} ${pin.id} at ${pin.path}`,
      () => handle.pin(pin.path),
      () => void host.pins.remove(pin.path),
    );
  } finally {
    handle.close();
  }
}

export const pinningAgain = (host: Host, pin: Pin): Mend => ({
  stage: "pins",
  action: `pin ${pin.kind} ${pin.id} again at ${pin.path}`,
  run: (steps) => pinAgain(host, pin, steps),
});
