import * as v from "valibot";
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { ALTERNATIVE_NAME_CHARS_MAX } from "../../domain/limits.ts";
import { DIRECTIONS } from "../../domain/link.ts";
import { id, metadata, name, offset, path, pid, priority } from "./request-fields.ts";

const network = {
  iface: v.pipe(v.string(), v.minLength(1), v.maxLength(ALTERNATIVE_NAME_CHARS_MAX)),
  priority,
  netns: v.optional(v.nullable(path), null),
};
const direction = v.picklist(DIRECTIONS);
const names = <const T extends Record<string, number>>(actions: T) =>
  v.optional(v.array(v.picklist(Object.keys(actions) as (keyof T & string)[])), []);

export const attachTarget = v.variant("kind", [
  v.strictObject({ kind: v.literal("xdp"), ...network, proceedOn: names(XDP_ACTIONS) }),
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
]);
export type AttachTarget = v.InferOutput<typeof attachTarget>;

export const attachRequest = v.strictObject({ programId: id, attach: attachTarget, metadata });
export type AttachRequest = v.InferOutput<typeof attachRequest>;
