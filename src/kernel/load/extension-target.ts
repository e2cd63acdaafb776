import type { ChainedKind } from "../../domain/kinds.ts";
import { mkdirSync } from "../../../ffi/safe/file-system.ts";
import { type BpfObject, openObject } from "../../../ffi/safe/bpf-object.ts";
import { openById } from "../../../ffi/safe/bpf.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { programInfo } from "../../../ffi/safe/object-info.ts";
import { programId } from "../../domain/ids.ts";
import { type Pin, programPin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { PinnedHandle, TestDispatchers } from "../../platform/kernel.ts";
import type { EmbeddedObject } from "./embedded.ts";
import { attempt } from "../kernel-failure.ts";
import { openOwnFd, openPin, pin } from "../pin.ts";

const OBJECTS = { xdp: "xdp_dispatcher", tc: "tc_dispatcher" } as const satisfies Record<ChainedKind, EmbeddedObject>;
/** The function that extensions are verified against. All slots have the same signature. */
export const SLOT = "prog0";

/**
 * Offset of `num_progs_enabled` in the configuration at the start of .rodata. One slot is enabled, because an
 * unreachable function might be eliminated and could not be extended.
 */
const PROGRAMS_ENABLED_OFFSET = { xdp: 2, tc: 0 } as const satisfies Record<ChainedKind, number>;

async function bytesOf(name: EmbeddedObject): Promise<Uint8Array> {
  const { embeddedObject } = await import("./embedded.ts");
  return embeddedObject(name);
}

/** Returns the object file of a hook's dispatcher. */
export const dispatcherBytes = (hook: ChainedKind): Promise<Uint8Array> => bytesOf(OBJECTS[hook]);

/** Loads a dispatcher with one empty slot to verify extensions against. Throws SysError, LibraryError. */
async function loadTestDispatcher(hook: ChainedKind): Promise<BpfObject> {
  const bytes = await dispatcherBytes(hook);
  return collectMessages([], () => {
    const object = openObject(bytes, "dispatcher");
    try {
      const config = object.maps.find((map) => map.name.endsWith(".rodata"));
      config?.writeInitialValue(PROGRAMS_ENABLED_OFFSET[hook], new Uint8Array([1]));
      object.load();
      return object;
    } catch (thrown) {
      object.close();
      throw thrown;
    }
  });
}

/** Returns the dispatcher, the only program of its object. */
export function onlyProgram(object: BpfObject) {
  const [program] = object.programs;
  if (program === undefined) throw new Error("the embedded object has no program");
  return program;
}

/**
 * Opens the dispatcher against which a hook's extensions are verified; the caller closes the descriptor. Uses the
 * recorded one pinned as `HOOK` in `folder`, or loads a new one and pins it there unless the path is taken. Throws
 * BpfmanError.
 */
export async function extensionTarget(folder: string, hook: ChainedKind, known: TestDispatchers): Promise<number> {
  const path = `${folder}/${hook}`;
  const recorded = known.recorded(path);
  const taken = openPin(path);
  taken?.close();
  if (taken !== null && recorded !== null && isBehind(taken, recorded)) {
    const there = openOwnFd(recorded);
    if (there !== null) return there;
  }
  const object = await loadTestDispatcher(hook).catch((thrown: unknown) =>
    attempt<never>({ action: `load the ${hook} test dispatcher`, code: "LOAD_FAILED" }, () => {
      throw thrown;
    }),
  );
  try {
    const fd = onlyProgram(object).fd();
    const { id } = programInfo(fd);
    if (taken === null) {
      known.record(programPin(path, programId(id)));
      attempt({ action: `make the directory "${folder}"`, code: "IO_FAILED" }, () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
      });
      pin(`the ${hook} test dispatcher`, fd, path);
    }
    // The object is closed here, and its program with it if it is not pinned.
    const opened = attempt({ action: `open program ${id}`, code: "KERNEL_CALL_FAILED" }, () => openById("program", id));
    if (opened === null) throw new BpfmanError("STATE_CONFLICT", `the ${hook} test dispatcher has gone`);
    return opened;
  } finally {
    object.close();
  }
}

const isBehind = (found: PinnedHandle, pin: Pin): boolean => found.kind === pin.kind && found.id === pin.id;
