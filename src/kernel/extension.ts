import { mkdirSync } from "../../ffi/safe/file-system.ts";
import { type BpfObject, openObject } from "../../ffi/safe/bpf-object.ts";
import { collectMessages } from "../../ffi/safe/libbpf.ts";
import { BpfmanError } from "../errors/error.ts";
import type { EmbeddedObject } from "./embedded.ts";
import { attempt } from "./failure.ts";
import { openPinFd, pin } from "./pin.ts";

/** The hooks on which dispatchers run programs that are loaded as extensions. */
export type DispatcherHook = "xdp" | "tc";

const OBJECTS = { xdp: "xdp_dispatcher", tc: "tc_dispatcher" } as const satisfies Record<
  DispatcherHook,
  EmbeddedObject
>;
/** The function that extensions are verified against; all slots have the same shape. */
export const SLOT = "prog0";

/**
 * Where `num_progs_enabled` stands in the configuration at the start of .rodata. One slot is switched on: a function
 * that no code can reach might be dropped, and could not be extended then.
 */
const PROGRAMS_ENABLED_OFFSET = { xdp: 2, tc: 0 } as const satisfies Record<DispatcherHook, number>;

async function bytesOf(name: EmbeddedObject): Promise<Uint8Array> {
  const { embeddedObject } = await import("./embedded.ts");
  return embeddedObject(name);
}

/** The object of a hook's dispatcher. */
export const dispatcherBytes = (hook: DispatcherHook): Promise<Uint8Array> => bytesOf(OBJECTS[hook]);

/** A dispatcher with one empty slot, to verify extensions against. Throws SysError, LibraryError. */
async function loadTestDispatcher(hook: DispatcherHook): Promise<BpfObject> {
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

/** The dispatcher, of which an object has one. */
export function onlyProgram(object: BpfObject) {
  const [program] = object.programs;
  if (program === undefined) throw new Error("the embedded object has no program");
  return program;
}

/**
 * A descriptor, to be closed, of the dispatcher that extensions of a hook are verified against: pinned as `HOOK` in
 * `folder`, and loaded and pinned there when it is not. Throws BpfmanError.
 */
export async function extensionTarget(folder: string, hook: DispatcherHook): Promise<number> {
  const path = `${folder}/${hook}`;
  const there = openPinFd(path);
  if (there !== null) return there;
  attempt({ action: `make the folder "${folder}"`, code: "IO_FAILED" }, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  });
  const object = await loadTestDispatcher(hook).catch((thrown: unknown) =>
    attempt<never>({ action: `load the ${hook} test dispatcher`, code: "LOAD_FAILED" }, () => {
      throw thrown;
    }),
  );
  try {
    pin(`the ${hook} test dispatcher`, onlyProgram(object).fd(), path);
  } finally {
    object.close();
  }
  const pinned = openPinFd(path);
  if (pinned === null) throw new BpfmanError("STATE_CONFLICT", `the pin "${path}" disappeared while it was made`);
  return pinned;
}
