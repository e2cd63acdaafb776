/** Encodes and decodes a dispatcher's configuration, the bytes of its `.rodata`. The layout is in PROTOCOL.md. */
import type { ChainedKind } from "../domain/kinds.ts";
import { DISPATCHER_SLOTS } from "../domain/dispatcher.ts";
import { BpfmanError } from "../errors/error.ts";

/** First byte of an XDP dispatcher's configuration. */
const XDP_DISPATCHER_MAGIC = 236;
/** Version of the XDP layout; the only one supported. */
const XDP_DISPATCHER_VERSION = 2;

/** Size of symbol `conf` of xdp_dispatcher.bpf.c, and of `CONFIG` of tc_dispatcher.bpf.c. */
export const XDP_CONFIG_BYTES = 124;
export const TC_CONFIG_BYTES = 84;

/** include/uapi/linux/bpf.h: set in program_flags of a member that supports multi-buffer packets. */
const BPF_F_XDP_HAS_FRAGS = 1 << 5;

/** Offsets of the counter and the arrays. Each array has one little-endian u32 per slot. */
const XDP = { enabled: 2, frags: 3, masks: 4, priorities: 44, flags: 84 } as const;
const TC = { enabled: 0, masks: 4, priorities: 44 } as const;

/** The value of bit 0: XDP_ABORTED, or TC_ACT_UNSPEC. */
const FIRST_VALUE = { xdp: 0, tc: -1 } as const;
const MASK_BITS = 32;

/** A slot in use. */
export interface ConfigMember {
  readonly priority: number;
  /** Return values after which the chain continues. */
  readonly proceedOn: readonly number[];
}
export interface XdpConfigMember extends ConfigMember {
  /** Whether it supports multi-buffer packets. */
  readonly frags: boolean;
}
export interface TcConfig {
  /** By slot. */
  readonly members: readonly ConfigMember[];
}
export interface XdpConfig {
  readonly members: readonly XdpConfigMember[];
  /** Whether the dispatcher supports multi-buffer packets, which requires that every member does. */
  readonly frags: boolean;
}

/**
 * Returns the bits of chain_call_actions, unsigned: bit n is XDP action n, or TC action n - 1. Throws RangeError for a
 * number without a bit.
 */
export function proceedOnMask(hook: ChainedKind, numbers: readonly number[]): number {
  let mask = 0;
  for (const value of numbers) {
    const bit = value - FIRST_VALUE[hook];
    if (!Number.isInteger(bit) || bit < 0 || bit >= MASK_BITS) throw new RangeError(`no ${hook} action ${value}`);
    mask |= 1 << bit;
  }
  return mask >>> 0;
}

/** Returns the actions in a mask, ascending: the inverse of {@link proceedOnMask}. */
function proceedOnOf(hook: ChainedKind, mask: number): number[] {
  const bits = Array.from({ length: MASK_BITS }, (_, bit) => bit);
  return bits.filter((bit) => ((mask >>> bit) & 1) === 1).map((bit) => bit + FIRST_VALUE[hook]);
}

const slot = (array: number, index: number): number => array + index * 4;

function writeMembers(view: DataView, hook: ChainedKind, members: readonly ConfigMember[]): void {
  if (members.length > DISPATCHER_SLOTS)
    throw new RangeError(`${members.length} members for ${DISPATCHER_SLOTS} slots`);
  const at = hook === "xdp" ? XDP : TC;
  view.setUint8(at.enabled, members.length);
  for (const [index, { priority, proceedOn }] of members.entries()) {
    view.setUint32(slot(at.masks, index), proceedOnMask(hook, proceedOn), true);
    view.setUint32(slot(at.priorities, index), priority, true);
  }
}

/** Encodes `conf`. Throws RangeError if there are more members than slots, or if {@link proceedOnMask} does. */
export function xdpConfig({ members, frags }: XdpConfig): Uint8Array {
  const bytes = new Uint8Array(XDP_CONFIG_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, XDP_DISPATCHER_MAGIC);
  view.setUint8(1, XDP_DISPATCHER_VERSION);
  view.setUint8(XDP.frags, frags ? 1 : 0);
  writeMembers(view, "xdp", members);
  for (const [index, member] of members.entries()) {
    view.setUint32(slot(XDP.flags, index), member.frags ? BPF_F_XDP_HAS_FRAGS : 0, true);
  }
  return bytes;
}

/** Encodes `CONFIG`. Throws like {@link xdpConfig}. */
export function tcConfig({ members }: TcConfig): Uint8Array {
  const bytes = new Uint8Array(TC_CONFIG_BYTES);
  writeMembers(new DataView(bytes.buffer), "tc", members);
  return bytes;
}

const refused = (hook: ChainedKind, reason: string): BpfmanError =>
  new BpfmanError("STATE_CONFLICT", `read the configuration of the ${hook} dispatcher: ${reason}`);

function checkedView(hook: ChainedKind, bytes: Uint8Array): DataView {
  const size = hook === "xdp" ? XDP_CONFIG_BYTES : TC_CONFIG_BYTES;
  if (bytes.length !== size) throw refused(hook, `it has ${bytes.length} bytes, not ${size}`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readMembers(view: DataView, hook: ChainedKind): ConfigMember[] {
  const at = hook === "xdp" ? XDP : TC;
  const count = view.getUint8(at.enabled);
  if (count > DISPATCHER_SLOTS) throw refused(hook, `it has ${count} programs in ${DISPATCHER_SLOTS} slots`);
  return Array.from({ length: count }, (_, index) => ({
    priority: view.getUint32(slot(at.priorities, index), true),
    proceedOn: proceedOnOf(hook, view.getUint32(slot(at.masks, index), true)),
  }));
}

/** Decodes `conf`. Throws STATE_CONFLICT if size, magic or version are wrong, or there are more members than slots. */
export function readXdpConfig(bytes: Uint8Array): XdpConfig {
  const view = checkedView("xdp", bytes);
  const magic = view.getUint8(0);
  const version = view.getUint8(1);
  if (magic !== XDP_DISPATCHER_MAGIC) throw refused("xdp", `it begins with ${magic}, not ${XDP_DISPATCHER_MAGIC}`);
  if (version !== XDP_DISPATCHER_VERSION) {
    const age = version > XDP_DISPATCHER_VERSION ? "newer" : "older";
    throw refused("xdp", `version ${version} is ${age} than ${XDP_DISPATCHER_VERSION}, which is the one known here`);
  }
  const members = readMembers(view, "xdp").map((member, index) => ({
    ...member,
    frags: (view.getUint32(slot(XDP.flags, index), true) & BPF_F_XDP_HAS_FRAGS) !== 0,
  }));
  return { members, frags: view.getUint8(XDP.frags) !== 0 };
}

/** Decodes `CONFIG`. Throws STATE_CONFLICT if the size is wrong or there are more members than slots. */
export function readTcConfig(bytes: Uint8Array): TcConfig {
  return { members: readMembers(checkedView("tc", bytes), "tc") };
}
