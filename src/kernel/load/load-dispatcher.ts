import { type ChainedKind, KINDS } from "../../domain/kinds.ts";
import { type BpfObject, openObject } from "../../../ffi/safe/bpf-object.ts";
import { btfFunctionIds } from "../../../ffi/safe/btf.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { createExtensionLink } from "../../../ffi/safe/bpf-link.ts";
import { LogBuffer } from "../../../ffi/safe/log-buffer.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import { type ProgramId, programId } from "../../domain/ids.ts";
import { VERIFIER_LOG_BYTES_MAX } from "../../domain/limits.ts";
import type {
  AttachedLink,
  DispatcherToLoad,
  LoadedDispatcher,
  SlotMember,
  TwinToLoad,
} from "../../platform/kernel.ts";
import type { EmbeddedObject } from "./embedded.ts";
import { attempt } from "../kernel-failure.ts";
import { attachedLink } from "../read-info.ts";
import { loadFailure } from "../explain/load-failure.ts";
import { pin, withPinned } from "../pin.ts";
import { type LoadedTwin, loadTwin } from "./load-twin.ts";

const OBJECTS = { xdp: "xdp_dispatcher", tc: "tc_dispatcher" } as const satisfies Record<ChainedKind, EmbeddedObject>;

/** Loads the dispatcher with empty slots. Throws LOAD_FAILED, VERIFIER_REJECTED, or if libbpf lacks something. */
async function loadEmptyDispatcher({
  hook,
  config,
  frags,
  expectedAttachType,
}: Omit<DispatcherToLoad, "members">): Promise<{ readonly object: BpfObject; readonly programFd: number }> {
  const { embeddedObject } = await import("./embedded.ts");
  const bytes = await embeddedObject(OBJECTS[hook]);
  const messages: string[] = [];
  const log = new LogBuffer(VERIFIER_LOG_BYTES_MAX);
  let opened: BpfObject | undefined;
  const name = `${hook}_dispatcher`;
  try {
    return collectMessages(messages, () => {
      const object = openObject(bytes, "dispatcher");
      opened = object;
      const program = object.select([name]).get(name);
      if (program === undefined) throw new Error("the embedded object has no program");
      program.setLog(log, "whole");
      // libbpf sets an attach type for XDP programs by default.
      program.setType(KINDS[hook].programType, expectedAttachType);
      if (frags) program.setFlag("frags");
      // libbpf freezes the map before it loads the program, so that the verifier knows the values.
      object.maps.find((map) => map.name.endsWith(".rodata"))?.writeInitialValue(0, config);
      object.load();
      return { object, programFd: program.fd() };
    });
  } catch (thrown) {
    opened?.close();
    throw loadFailure(thrown, { object: name, programs: [{ name, type: hook }], messages, log: log.text() });
  } finally {
    log.free();
  }
}

/** Throws LOAD_FAILED, VERIFIER_REJECTED, ATTACH_FAILED, and STATE_CONFLICT if a member's pin does not exist. */
export async function loadDispatcher(dispatcher: DispatcherToLoad): Promise<LoadedDispatcher> {
  const { hook, members } = dispatcher;
  const { object, programFd } = await loadEmptyDispatcher(dispatcher);
  const links: AttachedLink[] = [];
  const extensions: ProgramId[] = [];
  const twins = new Map<TwinToLoad, LoadedTwin>();
  const close = () => {
    for (const link of links) link.close();
    for (const twin of twins.values()) twin.close();
    object.close();
  };
  try {
    const { id, btfId } = programInfo(programFd);
    const slots = members.map((_, slot) => `prog${slot}`);
    const ids = attempt({ action: `find the slots of the ${hook} dispatcher`, code: "LOAD_FAILED" }, () =>
      btfFunctionIds(btfId, slots),
    );
    /** A twin is verified against the first slot that it is put into; all slots have the same prototype. */
    const twinFor = (twin: TwinToLoad, slot: number): LoadedTwin => {
      const made = twins.get(twin) ?? loadTwin(twin, hook, { programFd, function: `prog${slot}` });
      twins.set(twin, made);
      return made;
    };
    const fill = (fd: number, slot: number, action: string): void => {
      extensions.push(programId(programInfo(fd).id));
      const target = { programFd, btfId: ids[slot] as number };
      links.push(attachedLink(attempt({ action, code: "ATTACH_FAILED" }, () => createExtensionLink(fd, target))));
    };
    for (const [slot, member] of members.entries()) {
      const action = `put ${nameOf(member)} into slot ${slot} of the ${hook} dispatcher`;
      if ("twin" in member) fill(twinFor(member.twin, slot).fd, slot, action);
      else withPinned(action, member.extension, (fd) => fill(fd, slot, action));
    }
    return {
      program: programId(id),
      links: links.map((link) => link.id),
      extensions,
      pinProgram: (path) => pin(`the ${hook} dispatcher`, programFd, path),
      pinLink(slot, path) {
        const link = links[slot];
        if (link === undefined) throw new RangeError(`the ${hook} dispatcher has no member in slot ${slot}`);
        link.pin(path);
      },
      pinExtension(slot, path) {
        const member = members[slot];
        if (member === undefined) throw new RangeError(`the ${hook} dispatcher has no member in slot ${slot}`);
        const what = `the extension in slot ${slot}`;
        if ("twin" in member) pin(what, twinFor(member.twin, slot).fd, path);
        else withPinned(`pin ${what}`, member.extension, (fd) => pin(what, fd, path));
      },
      close,
    };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

const nameOf = (member: SlotMember): string =>
  "twin" in member ? `the twin of program ${member.twin.program.id}` : `"${member.extension.path}"`;
