import * as v from "valibot";
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { XDP_MODES } from "../../domain/config.ts";
import { ALTERNATIVE_NAME_CHARS_MAX } from "../../domain/limits.ts";
import { CGROUP_PRIORITY_DEFAULT, DIRECTIONS, NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../domain/link.ts";
import * as fields from "./request-fields.ts";

const count = fields.count();
const idOrName = fields.idOrName();
const mapName = fields.mapName();
const metadata = fields.metadata();
const name = fields.name();
const offset = fields.offset();
const path = fields.path();
const pid = fields.pid();
const priority = fields.priority();
const signedPriority = fields.signedPriority();

const network = {
  iface: v.pipe(v.string(), v.minLength(1), v.maxLength(ALTERNATIVE_NAME_CHARS_MAX)),
  priority,
  netns: v.optional(v.nullable(path), null),
};
/** By its number, from 0. */
const processor = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0x7fff_ffff));
const direction = v.picklist(DIRECTIONS);
const wordOf = <const T extends Record<string, number>>(numbers: T) =>
  v.picklist(Object.keys(numbers) as (keyof T & string)[]);
const names = <const T extends Record<string, number>>(actions: T) => v.optional(v.array(wordOf(actions)), []);

export const attachTarget = v.variant("kind", [
  v.strictObject({
    kind: v.literal("xdp"),
    ...network,
    proceedOn: names(XDP_ACTIONS),
    /** Null takes the mode of the chain that is there, or the configured one, or the best that works. */
    xdpMode: v.optional(v.nullable(v.picklist(XDP_MODES)), null),
  }),
  v.strictObject({ kind: v.literal("tc"), ...network, direction, proceedOn: names(TC_ACTIONS) }),
  v.strictObject({ kind: v.literal("tcx"), ...network, direction }),
  v.strictObject({
    kind: v.literal("tracepoint"),
    /** CATEGORY/NAME. Checked where the tracepoints are known. */
    tracepoint: name,
  }),
  v.strictObject({
    kind: v.literal("kprobe"),
    fnName: name,
    offset: v.optional(offset, 0),
    containerPid: v.optional(v.nullable(pid), null),
  }),
  v.strictObject({
    kind: v.literal("uprobe"),
    target: path,
    fnName: v.optional(v.nullable(name), null),
    offset: v.optional(offset, 0),
    pid: v.optional(v.nullable(pid), null),
    containerPid: v.optional(v.nullable(pid), null),
  }),
  v.strictObject({ kind: v.literal("fentry") }),
  v.strictObject({ kind: v.literal("fexit") }),
  v.strictObject({ kind: v.literal("lsm") }),
  v.strictObject({
    kind: v.literal("raw_tp"),
    /** The name alone. Checked where the tracepoints are known. */
    tracepoint: name,
  }),
  v.strictObject({ kind: v.literal("tp_btf") }),
  v.strictObject({ kind: v.literal("fmod_ret") }),
  v.strictObject({ kind: v.literal("freplace") }),
  v.strictObject({
    kind: v.literal("iter"),
    /** The map whose entries it visits, for iterators that visit a map's. */
    map: v.optional(v.nullable(mapName), null),
  }),
  v.strictObject({
    kind: v.literal("perf_event"),
    event: name,
    cpu: v.optional(v.nullable(processor), null),
    pid: v.optional(v.nullable(pid), null),
    period: v.optional(v.nullable(count), null),
    frequency: v.optional(v.nullable(count), null),
  }),
  v.strictObject({
    kind: v.literal("kprobe.multi"),
    /** A pattern: * stands for any characters, ? for one. */
    fnName: name,
  }),
  v.strictObject({
    kind: v.literal("uprobe.multi"),
    target: path,
    /** A pattern: * stands for any characters, ? for one. */
    fnName: name,
    pid: v.optional(v.nullable(pid), null),
    containerPid: v.optional(v.nullable(pid), null),
  }),
  v.strictObject({
    kind: v.literal("cgroup"),
    cgroup: path,
    priority: v.optional(priority, CGROUP_PRIORITY_DEFAULT),
    /** For programs whose section does not say it. */
    direction: v.optional(v.nullable(direction), null),
  }),
  v.strictObject({ kind: v.literal("sk_lookup"), netns: v.optional(v.nullable(path), null) }),
  v.strictObject({
    kind: v.literal("netfilter"),
    protocol: wordOf(NETFILTER_PROTOCOLS),
    hook: wordOf(NETFILTER_HOOKS),
    priority: v.optional(signedPriority, 0),
    defrag: v.optional(v.boolean(), false),
    netns: v.optional(v.nullable(path), null),
  }),
]);
export type AttachTarget = v.InferOutput<typeof attachTarget>;

export const attachRequest = v.strictObject({ programId: idOrName, attach: attachTarget, metadata });
export type AttachRequest = v.InferOutput<typeof attachRequest>;
