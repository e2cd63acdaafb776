import { type Pointer, toArrayBuffer } from "bun:ffi";
import { ATTACH_TYPE, OBJECT_OPEN_OPTS, PROG_TYPE } from "../layout/generated.ts";
import { encode } from "../layout/struct.ts";
import { addressOf, allocate, copyOf, cString, keepAlive, type Memory } from "../memory.ts";
import { lastErrno, textAt } from "./libc.ts";
import { checkedLibbpf, libbpf, libbpfError, rareLibbpf, silently } from "./libbpf.ts";
import type { LogBuffer } from "./log-buffer.ts";
import { withDefaultSignals } from "./signals.ts";

export type ProgramTypeName = keyof typeof PROG_TYPE;
export type AttachTypeName = keyof typeof ATTACH_TYPE;

/** An object file parsed by libbpf: configure it, load it once, close it. */
export interface BpfObject {
  /**
   * Turns autoload on for the programs of these names, the first of each, and off for all others, which are not looked at: an
   * object can have many. Returns those that there are.
   */
  select(names: Iterable<string>): ReadonlyMap<string, BpfProgram>;
  readonly maps: readonly BpfMap[];
  /**
   * Creates the maps and loads the programs that have autoload on. Throws SysError, leaving nothing in the kernel. The
   * verifier may take minutes; a signal to terminate ends the process meanwhile (withDefaultSignals), unless the object is
   * known to be `quick`.
   */
  load(how?: { readonly quick: boolean }): void;
  /** Frees everything, including programs and maps that are not pinned. Idempotent. */
  close(): void;
}

/** How much goes into a verifier log. */
export type LogDetail = "whole" | "path" | "brief";

export interface BpfProgram {
  readonly name: string;
  readonly section: string;
  /** Sets BPF_PROG_TYPE_* and the expected BPF_* attach type; null for none. */
  setType(type: ProgramTypeName, expectedAttachType: AttachTypeName | null): void;
  /**
   * Sets the target of a fentry, fexit or extension program: a function of the program behind `programFd`, or of the
   * kernel if null. Call it after setType. Throws SysError (ENOENT or ESRCH if the BTF has no such function).
   */
  setAttachTarget(target: { readonly programFd: number | null; readonly function: string }): void;
  /**
   * `frags` is BPF_F_XDP_HAS_FRAGS: an XDP program or its extension accepts multi-buffer packets (Linux 5.18). `sleepable` is
   * BPF_F_SLEEPABLE: the program may sleep.
   */
  setFlag(flag: keyof typeof LOAD_FLAGS): void;
  /**
   * Sets the buffer for the verifier log, which must stay valid until `load` returns. `whole` and `path` have every
   * instruction; `whole` is only written if the verifier rejects the program, which is then verified again for it.
   * `brief` has only the reason and the statistics (BPF_LOG_STATS).
   */
  setLog(log: LogBuffer, detail: LogDetail): void;
  /** BPF_PROG_TYPE_* number: what {@link setType} set, else what libbpf concluded from the section; 0 for nothing. */
  readonly type: number;
  /** The descriptor of the loaded program; closing the object closes it. */
  fd(): number;
}

export interface BpfMap {
  /** The full name; `NAME.rodata` and the like for internal maps. */
  readonly name: string;
  /** Created by libbpf for a section of global variables. */
  readonly internal: boolean;
  /** Null if libbpf did not create the map. */
  fd(): number | null;
  /**
   * Changes the initial value of an internal map; call it before `load`. Throws RangeError if the bytes are out of
   * bounds or the map has no initial value.
   */
  writeInitialValue(offset: number, bytes: Uint8Array): void;
  /** Uses an existing map instead of creating one. The caller keeps ownership of the descriptor. */
  reuse(fd: number): void;
  /** Keeps `load` from creating the map. Programs that use it anyway are rejected. */
  leaveOut(): void;
  /** Sets the number of entries, overriding the definition. Call before `load`. */
  setMaxEntries(entries: number): void;
  /** `link` is BPF_F_LINK: the struct in a STRUCT_OPS map is registered by a link (Linux 6.4). Call before `load`. */
  setFlag(flag: keyof typeof MAP_FLAGS): void;
  /** Prevents libbpf from pinning the map or reusing a pinned one. */
  clearPinPath(): void;
}

const learned = new Set<string>();

/** Tells libbpf which type programs in sections of that pattern have (libbpf_register_prog_handler), for all objects. */
export function learnSection(pattern: string, type: ProgramTypeName): void {
  if (learned.has(pattern)) return;
  const result = rareLibbpf().libbpf_register_prog_handler(cString(pattern), PROG_TYPE[type], 0, null);
  checkedLibbpf("libbpf_register_prog_handler", result);
  learned.add(pattern);
}

/** The memory of an object that is closed, for the next one of its size: a check opens the same file again and again. */
let spare: Memory | null = null;

function copied(bytes: Uint8Array): Memory {
  const memory = spare;
  spare = null;
  if (memory?.length !== bytes.length) return copyOf(bytes);
  memory.set(bytes);
  return memory;
}

/**
 * Parses an object file in memory. libbpf is not hardened against malicious files: pass only bytes that `src/object`
 * has accepted. The names of internal maps are derived from `name`. Throws SysError, LibraryError.
 */
export function openObject(bytes: Uint8Array, name: string): BpfObject {
  const library = libbpf();
  const file = copied(bytes);
  const objectName = cString(name);
  const options = encode(OBJECT_OPEN_OPTS, { sz: OBJECT_OPEN_OPTS.size, object_name: addressOf(objectName) });
  const open = () => library.bpf_object__open_mem(file, file.length, options);
  // Why it failed is asked for only then.
  const opened = silently(open) ?? open();
  keepAlive(objectName);
  if (opened === null) throw libbpfError("bpf_object__open_mem", lastErrno());
  const handle = Number(opened) as Pointer;

  let closed = false;
  const live = (pointer: Pointer): Pointer => {
    if (closed) throw new Error("the BPF object is closed");
    return pointer;
  };
  return {
    select(names) {
      const found = new Map<string, BpfProgram>();
      const wanted = new Set<Pointer>();
      for (const name of names) {
        const pointer = library.bpf_object__find_program_by_name(live(handle), cString(name));
        if (pointer === null) continue;
        wanted.add(Number(pointer) as Pointer);
        found.set(name, wrapProgram(Number(pointer) as Pointer, name, live));
      }
      for (const each of walk((last) => library.bpf_object__next_program(handle, last)))
        checkedLibbpf("bpf_program__set_autoload", library.bpf_program__set_autoload(each, wanted.has(each)));
      return found;
    },
    maps: walk((last) => library.bpf_object__next_map(handle, last)).map((it) => wrapMap(it, live)),
    load({ quick } = { quick: false }) {
      const load = () => library.bpf_object__load(live(handle));
      const result = quick ? load() : withDefaultSignals(load);
      checkedLibbpf("bpf_object__load", result);
    },
    close() {
      if (closed) return;
      closed = true;
      library.bpf_object__close(handle);
      spare = file;
    },
  };
}

/** Collects all pointers returned by one of libbpf's `next` functions. */
function walk(next: (last: Pointer | null) => Pointer | bigint | null): Pointer[] {
  const found: Pointer[] = [];
  for (let last = next(null); last !== null; last = next(found.at(-1) ?? null)) found.push(Number(last) as Pointer);
  return found;
}

/** BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS (include/uapi/linux/bpf.h) */
const LOAD_FLAGS = { sleepable: 1 << 4, frags: 1 << 5 } as const;
/** BPF_F_LINK (include/uapi/linux/bpf.h) */
const MAP_FLAGS = { link: 1 << 13 } as const;
/**
 * Levels of the verifier log (include/linux/bpf_verifier.h): BPF_LOG_LEVEL1, BPF_LOG_STATS. At level 0, libbpf loads without
 * a log first and retries with one on failure.
 */
const LOG_LEVELS: Readonly<Record<LogDetail, number>> = { whole: 0, path: 1, brief: 4 };

type Live = (pointer: Pointer) => Pointer;

const nameAt = (address: Pointer | bigint | null): string => (address === null ? "" : textAt(address));

function wrapProgram(pointer: Pointer, name: string, live: Live): BpfProgram {
  const library = libbpf();
  return {
    name,
    get section() {
      return nameAt(library.bpf_program__section_name(live(pointer)));
    },
    setType(type, expectedAttachType) {
      checkedLibbpf("bpf_program__set_type", library.bpf_program__set_type(live(pointer), PROG_TYPE[type]));
      const expected = expectedAttachType === null ? 0 : ATTACH_TYPE[expectedAttachType];
      const result = library.bpf_program__set_expected_attach_type(pointer, expected);
      checkedLibbpf("bpf_program__set_expected_attach_type", result);
    },
    setAttachTarget(target) {
      const fd = target.programFd ?? 0;
      const result = rareLibbpf().bpf_program__set_attach_target(live(pointer), fd, cString(target.function));
      checkedLibbpf("bpf_program__set_attach_target", result);
    },
    setFlag(flag) {
      const flags = rareLibbpf().bpf_program__flags(live(pointer)) | LOAD_FLAGS[flag];
      checkedLibbpf("bpf_program__set_flags", rareLibbpf().bpf_program__set_flags(pointer, flags));
    },
    setLog(log, detail) {
      const result = library.bpf_program__set_log_buf(live(pointer), log.address, log.bytes);
      checkedLibbpf("bpf_program__set_log_buf", result);
      checkedLibbpf("bpf_program__set_log_level", library.bpf_program__set_log_level(pointer, LOG_LEVELS[detail]));
    },
    get type() {
      return rareLibbpf().bpf_program__type(live(pointer));
    },
    fd: () => checkedLibbpf("bpf_program__fd", library.bpf_program__fd(live(pointer))),
  };
}

function wrapMap(pointer: Pointer, live: Live): BpfMap {
  const library = libbpf();
  return {
    // Read the name now: reuse() overwrites it with the kernel's, which is truncated to 15 characters.
    name: nameAt(library.bpf_map__name(pointer)),
    internal: library.bpf_map__is_internal(pointer),
    fd() {
      const fd = library.bpf_map__fd(live(pointer));
      return fd < 0 ? null : fd;
    },
    writeInitialValue(offset, bytes) {
      const size = allocate(8);
      const address = rareLibbpf().bpf_map__initial_value(live(pointer), size);
      const room = address === null ? 0 : Number(new DataView(size.buffer).getBigUint64(0, true));
      if (!Number.isSafeInteger(offset) || offset < 0 || offset + bytes.length > room) {
        throw new RangeError(`${bytes.length} bytes at ${offset} do not lie inside an initial value of ${room} bytes`);
      }
      // The memory belongs to libbpf: the view must not outlive this call.
      new Uint8Array(toArrayBuffer(Number(address) as Pointer, 0, room)).set(bytes, offset);
    },
    reuse(fd) {
      checkedLibbpf("bpf_map__reuse_fd", rareLibbpf().bpf_map__reuse_fd(live(pointer), fd));
    },
    leaveOut() {
      checkedLibbpf("bpf_map__set_autocreate", rareLibbpf().bpf_map__set_autocreate(live(pointer), false));
    },
    setMaxEntries(entries) {
      if (!Number.isInteger(entries) || entries < 0 || entries > 0xffff_ffff) {
        throw new RangeError(`${entries} is not a number of entries`);
      }
      checkedLibbpf("bpf_map__set_max_entries", rareLibbpf().bpf_map__set_max_entries(live(pointer), entries));
    },
    setFlag(flag) {
      const flags = rareLibbpf().bpf_map__map_flags(live(pointer)) | MAP_FLAGS[flag];
      checkedLibbpf("bpf_map__set_map_flags", rareLibbpf().bpf_map__set_map_flags(pointer, flags));
    },
    clearPinPath() {
      checkedLibbpf("bpf_map__set_pin_path", library.bpf_map__set_pin_path(live(pointer), null));
    },
  };
}
