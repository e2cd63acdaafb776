import { ERRNO } from "../errno.ts";
import {
  concatenated,
  nested,
  readAttributes,
  readText,
  readU32,
  textAttribute,
  u32Attribute,
} from "../layout/netlink.ts";
import { allocate } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { NLM_F, routeRequest } from "./rtnetlink.ts";

// These functions act on the current network namespace. include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h.

/** struct tcmsg: u8 family, i32 ifindex, u32 handle, u32 parent, u32 info. */
const TCMSG = { bytes: 20, ifindex: 4, handle: 8, parent: 12, info: 16 } as const;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_CHAIN = 11;
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_ID = 11;
const TCA_BPF_FLAG_ACT_DIRECT = 1;

/** TC_H_CLSACT, which is also the parent of an `ingress` qdisc, and the handle that either qdisc always has. */
const CLSACT_PARENT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
const SIDE_PARENT = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
/** ETH_P_ALL in network byte order. */
const ALL_PROTOCOLS = 0x0300;

export interface TcSide {
  readonly ifindex: number;
  readonly side: keyof typeof SIDE_PARENT;
}
export interface TcFilterPlace extends TcSide {
  /** 1 to 65535. */
  readonly priority: number;
  /** Not 0: when deleting, that means all handles. */
  readonly handle: number;
}

interface TcHeader {
  readonly ifindex: number;
  readonly handle: number;
  readonly parent: number;
  readonly info: number;
}

function encodeHeader(header: TcHeader): Uint8Array {
  const bytes = allocate(TCMSG.bytes);
  const view = new DataView(bytes.buffer);
  view.setInt32(TCMSG.ifindex, header.ifindex, true);
  view.setUint32(TCMSG.handle, header.handle, true);
  view.setUint32(TCMSG.parent, header.parent, true);
  view.setUint32(TCMSG.info, header.info, true);
  return bytes;
}

/** Throws RangeError if the numbers could match several filters. */
function checkPlace({ priority, handle }: TcFilterPlace): void {
  if (!Number.isInteger(priority) || priority < 1 || priority > 0xffff) throw new RangeError(`TC priority ${priority}`);
  if (!Number.isInteger(handle) || handle < 1 || handle > 0xffff_ffff) throw new RangeError(`TC handle ${handle}`);
}

/** Encodes the header of a request for exactly one filter. */
function filterHeader(place: TcFilterPlace): Uint8Array {
  checkPlace(place);
  const { ifindex, side, priority, handle } = place;
  const info = priority * 0x1_0000 + ALL_PROTOCOLS;
  return encodeHeader({ ifindex, handle, parent: SIDE_PARENT[side], info });
}

const KIND_BPF = textAttribute(TCA_KIND, "bpf");

/** Returns the kind of the qdisc in clsact's place; null if there is none. Throws SysError (ENODEV). */
export function clsactKind(ifindex: number): string | null {
  const header = encodeHeader({ ifindex, handle: 0, parent: CLSACT_PARENT, info: 0 });
  try {
    // Without ECHO, the kernel only notifies monitoring sockets.
    const [answer] = routeRequest("RTM_GETQDISC", header, NLM_F.ECHO);
    return answer === undefined ? null : readText(readAttributes(answer.subarray(TCMSG.bytes)).get(TCA_KIND));
  } catch (thrown) {
    if (thrown instanceof SysError && thrown.errno === ERRNO.ENOENT) return null;
    throw thrown;
  }
}

/** Creates a clsact qdisc. Throws SysError: EEXIST if clsact or `ingress` exists, ENODEV. */
export function createClsact(ifindex: number): void {
  const header = encodeHeader({ ifindex, handle: CLSACT_HANDLE, parent: CLSACT_PARENT, info: 0 });
  routeRequest("RTM_NEWQDISC", concatenated(header, textAttribute(TCA_KIND, "clsact")), NLM_F.CREATE | NLM_F.EXCL);
}

/**
 * Creates a cls_bpf filter for all protocols in direct-action mode, or with `replace` swaps the program of an existing
 * one without a gap. Throws SysError: EEXIST if it already exists, ENOENT if there is none to replace, EINVAL if
 * filters of that priority have another kind or protocol or if there is no clsact, ENODEV.
 */
export function setBpfFilter(
  place: TcFilterPlace,
  program: { readonly fd: number; readonly name: string },
  how: "create" | "replace",
): void {
  const options = nested(
    TCA_OPTIONS,
    u32Attribute(TCA_BPF_FD, program.fd),
    textAttribute(TCA_BPF_NAME, program.name),
    u32Attribute(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
  );
  const flags = how === "create" ? NLM_F.CREATE | NLM_F.EXCL : NLM_F.REPLACE;
  routeRequest("RTM_NEWTFILTER", concatenated(filterHeader(place), KIND_BPF, options), flags);
}

/** Deletes exactly this filter. Throws SysError: ENOENT or EINVAL if it does not exist, ENODEV. */
export function deleteBpfFilter(place: TcFilterPlace): void {
  routeRequest("RTM_DELTFILTER", concatenated(filterHeader(place), KIND_BPF));
}

export interface TcFilter {
  readonly priority: number;
  readonly kind: string;
  readonly handle: number;
  /** Set for a cls_bpf filter that runs an eBPF program; null for all others. */
  readonly programId: number | null;
  readonly name: string | null;
}

/**
 * Returns the filters of this priority in chain 0, of all handles, protocols and kinds. Empty if the interface or its
 * clsact does not exist.
 */
export function filtersBeside(place: TcFilterPlace): TcFilter[] {
  checkPlace(place);
  const { ifindex, side, priority } = place;
  const parent = SIDE_PARENT[side];
  const header = encodeHeader({ ifindex, handle: 0, parent, info: priority * 0x1_0000 });
  const answers = routeRequest("RTM_GETTFILTER", concatenated(header, u32Attribute(TCA_CHAIN, 0)), NLM_F.DUMP);
  return answers.flatMap((answer) => decodeFilter(answer, priority) ?? []);
}

/** The filters of one side in chain 0, of all priorities, protocols and kinds. None when interface or clsact are not there. */
export function allFilters({ ifindex, side }: TcSide): TcFilter[] {
  const header = encodeHeader({ ifindex, handle: 0, parent: SIDE_PARENT[side], info: 0 });
  const answers = routeRequest("RTM_GETTFILTER", concatenated(header, u32Attribute(TCA_CHAIN, 0)), NLM_F.DUMP);
  return answers.flatMap((answer) => decodeFilter(answer) ?? []);
}

/**
 * The filter that an answer of RTM_GETTFILTER tells of; null for one of another priority than that asked for. Throws
 * RangeError.
 */
export function decodeFilter(answer: Uint8Array, wanted: number | null = null): TcFilter | null {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  const handle = view.getUint32(TCMSG.handle, true);
  // Classifiers are also listed themselves, without a filter.
  const priority = view.getUint32(TCMSG.info, true) >>> 16;
  if (handle === 0 || (wanted !== null && priority !== wanted)) return null;
  const attributes = readAttributes(answer.subarray(TCMSG.bytes));
  const kind = readText(attributes.get(TCA_KIND)) ?? "";
  const options = readAttributes(attributes.get(TCA_OPTIONS) ?? new Uint8Array());
  const own = kind === "bpf";
  return {
    kind,
    priority,
    handle,
    programId: own ? readU32(options.get(TCA_BPF_ID)) : null,
    name: own ? readText(options.get(TCA_BPF_NAME)) : null,
  };
}
