import type { ChainedKind } from "../../domain/kinds.ts";
import { type BpfObject, openObject } from "../../../ffi/safe/bpf-object.ts";
import { btfFunctionIds } from "../../../ffi/safe/btf.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { createExtensionLink } from "../../../ffi/safe/bpf-link.ts";
import { LogBuffer } from "../../../ffi/safe/log-buffer.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import { programId } from "../../domain/ids.ts";
import { VERIFIER_LOG_BYTES_MAX } from "../../domain/limits.ts";
import type { Pin } from "../../domain/pin.ts";
import type { AttachedLink, DispatcherToLoad, LoadedDispatcher } from "../../platform/kernel.ts";
import { dispatcherBytes, onlyProgram } from "./extension-target.ts";
import { attempt } from "../kernel-failure.ts";
import { attachedLink } from "../read-info.ts";
import { loadFailure } from "../explain/load-failure.ts";
import { pin, withPinned } from "../pin.ts";

/**
 * Loads the dispatcher itself with empty slots. Throws LOAD_FAILED, VERIFIER_REJECTED, and errors of a missing libbpf.
 */
export async function loadEmptyDispatcher(
  hook: ChainedKind,
  settings: { readonly config: Uint8Array; readonly frags: boolean },
): Promise<BpfObject> {
  const bytes = await dispatcherBytes(hook);
  const messages: string[] = [];
  const log = new LogBuffer(VERIFIER_LOG_BYTES_MAX);
  let opened: BpfObject | undefined;
  try {
    return collectMessages(messages, () => {
      const object = openObject(bytes, "dispatcher");
      opened = object;
      const program = onlyProgram(object);
      program.setLog(log, "whole");
      if (settings.frags) program.setFrags();
      // libbpf freezes the map before it loads the program, so that the verifier knows the values.
      object.maps.find((map) => map.name.endsWith(".rodata"))?.writeInitialValue(0, settings.config);
      object.load();
      return object;
    });
  } catch (thrown) {
    opened?.close();
    const name = `${hook}_dispatcher`;
    throw loadFailure(thrown, { object: name, programs: [{ name, type: hook }], messages, log: log.text() });
  } finally {
    log.free();
  }
}

/** Throws LOAD_FAILED, VERIFIER_REJECTED, ATTACH_FAILED, and STATE_CONFLICT if a member's pin does not exist. */
export async function loadDispatcher(dispatcher: DispatcherToLoad): Promise<LoadedDispatcher> {
  const { hook, members } = dispatcher;
  const object = await loadEmptyDispatcher(hook, dispatcher);
  const links: AttachedLink[] = [];
  const close = () => {
    for (const link of links) link.close();
    object.close();
  };
  try {
    const programFd = onlyProgram(object).fd();
    const { id, btfId } = programInfo(programFd);
    const slots = members.map((_, slot) => `prog${slot}`);
    const ids = attempt({ action: `find the slots of the ${hook} dispatcher`, code: "LOAD_FAILED" }, () =>
      btfFunctionIds(btfId, slots),
    );
    for (const [slot, functionId] of ids.entries()) {
      links.push(fillSlot(members[slot] as Pin, { hook, slot, programFd, functionId }));
    }
    return {
      program: programId(id),
      links: links.map((link) => link.id),
      pinProgram: (path) => pin(`the ${hook} dispatcher`, programFd, path),
      pinLink(slot, path) {
        const link = links[slot];
        if (link === undefined) throw new RangeError(`the ${hook} dispatcher has no member in slot ${slot}`);
        link.pin(path);
      },
      close,
    };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

interface Slot {
  readonly hook: ChainedKind;
  readonly slot: number;
  readonly programFd: number;
  /** Type ID in the dispatcher's BTF. */
  readonly functionId: number;
}

/** The program was verified when it was loaded. The kernel now only compares the functions' signatures. */
function fillSlot(pinned: Pin, { hook, slot, programFd, functionId }: Slot): AttachedLink {
  const action = `put "${pinned.path}" into slot ${slot} of the ${hook} dispatcher`;
  return withPinned(action, pinned, (member) =>
    attachedLink(
      attempt({ action, code: "ATTACH_FAILED" }, () => createExtensionLink(member, { programFd, btfId: functionId })),
    ),
  );
}
