import { type BpfMap, type BpfObject, openObject } from "../../../ffi/safe/bpf-object.ts";
import { withObject } from "../../../ffi/safe/bpf.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { LogBuffer } from "../../../ffi/safe/log-buffer.ts";
import type { ChainedKind } from "../../domain/kinds.ts";
import { VERIFIER_LOG_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { TwinToLoad } from "../../platform/kernel.ts";
import { libbpfName, sectionOf } from "./load-object.ts";
import { loadFailure } from "../explain/load-failure.ts";
import { withPinned } from "../pin.ts";

/** A function of a loaded dispatcher. */
export interface Slot {
  readonly programFd: number;
  readonly function: string;
}

/** An extension that lives only as long as this handle. */
export interface LoadedTwin {
  readonly fd: number;
  close(): void;
}

/**
 * Loads a program once more, as an extension for a slot, with the same maps. Like all our XDP programs, it has no expected
 * attach type; if the types differed, the kernel would reject a program array that the two share. Throws VERIFIER_REJECTED,
 * KERNEL_REFUSED, LOAD_FAILED, and STATE_CONFLICT if the program or one of its maps no longer exists.
 */
export function loadTwin(twin: TwinToLoad, hook: ChainedKind, slot: Slot): LoadedTwin {
  const action = `make the twin of program ${twin.program.id} "${twin.name}"`;
  const messages: string[] = [];
  const log = new LogBuffer(VERIFIER_LOG_BYTES_MAX);
  let opened: BpfObject | undefined;
  try {
    // While the program is open, the IDs of its maps cannot be reused.
    return withPinned(action, twin.program, () =>
      collectMessages(messages, () => {
        const object = openObject(twin.bytes, libbpfName(twin.name));
        opened = object;
        const program = object.select([twin.name]).get(twin.name);
        if (program === undefined) throw new BpfmanError("FUNCTION_NOT_FOUND", `${action}: it is not in its bytecode`);
        program.setLog(log, "whole");
        program.setType("EXT", null);
        // Setting the type clears this flag.
        if (twin.frags) program.setFlag("frags");
        program.setAttachTarget(slot);
        for (const map of object.maps) takeOver(map, twin, action);
        object.load();
        return { fd: program.fd(), close: () => object.close() };
      }),
    );
  } catch (thrown) {
    opened?.close();
    if (thrown instanceof BpfmanError) throw thrown;
    const programs = [{ name: twin.name, type: hook }];
    throw loadFailure(thrown, { object: twin.name, programs, messages, log: log.text() });
  } finally {
    log.free();
  }
}

/** Returns the program's map with this name; maps that the program lacks are not created. */
function takeOver(map: BpfMap, twin: TwinToLoad, action: string): void {
  map.clearPinPath();
  const id = twin.maps.get(map.internal ? sectionOf(map) : map.name);
  if (id === undefined) {
    map.leaveOut();
    return;
  }
  const found = withObject("map", id, (fd) => {
    map.reuse(fd);
    return true;
  });
  if (found === null) throw new BpfmanError("STATE_CONFLICT", `${action}: its map ${id} "${map.name}" has gone`);
}
