import * as v from "valibot";
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { XDP_MODES } from "../../domain/config.ts";
import { ALTERNATIVE_NAME_CHARS_MAX } from "../../domain/limits.ts";
import { CGROUP_PRIORITY_DEFAULT, DIRECTIONS, NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../domain/link.ts";
import { idOrName, metadata, name, offset, path, pid, priority, signedPriority } from "./request-fields.ts";

const network = {
  iface: v.pipe(v.string(), v.minLength(1), v.maxLength(ALTERNATIVE_NAME_CHARS_MAX)),
  priority,
  netns: v.optional(v.nullable(path), null),
};
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
