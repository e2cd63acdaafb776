/** Schemas of all requests: what both edges hand to `invoke`, and the only place that says what is well-formed. */
import * as v from "valibot";
import { TC_ACTIONS, XDP_ACTIONS } from "../domain/actions.ts";
import {
  ID_MAX,
  INTERFACE_CHARS_MAX,
  METADATA_CHARS_MAX,
  METADATA_PAIRS_MAX,
  NAME_CHARS_MAX,
  PRIORITY_MAX,
  PROGRAMS_PER_LOAD_MAX,
} from "../domain/limits.ts";
import { DIRECTIONS } from "../domain/link.ts";
import { PROGRAM_TYPES } from "../domain/program.ts";

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_CHARS_MAX));
const path = v.pipe(v.string(), v.minLength(1), v.maxLength(4095), v.regex(/^[^\0]*$/, "a path cannot hold a NUL byte"));
const id = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(ID_MAX));
const pid = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0x7fff_ffff));
const offset = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const text = v.pipe(v.string(), v.maxLength(METADATA_CHARS_MAX));

/** Keys that a plain object cannot carry safely; the schema library leaves them out without a word. */
const RESERVED_KEYS = ["__proto__", "constructor", "prototype"];

/** An object used as a table: any key but the reserved ones, which are refused rather than dropped. */
const table = v.pipe(
  v.custom<Record<string, unknown>>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    "an object is needed",
  ),
  v.check(
    (value) => !RESERVED_KEYS.some((key) => Object.hasOwn(value, key)),
    `the names ${RESERVED_KEYS.join(", ")} cannot be used`,
  ),
);

const metadata = v.optional(
  v.pipe(
    table,
    v.record(v.pipe(text, v.minLength(1)), text),
    v.check((pairs) => Object.keys(pairs).length <= METADATA_PAIRS_MAX, `at most ${METADATA_PAIRS_MAX} pairs`),
  ),
  {},
);

export const programSelector = v.strictObject({
  type: v.picklist(PROGRAM_TYPES),
  name,
  attachFunction: v.optional(v.nullable(name), null),
});

/** Global data: hex digits, two for each byte, or base64. */
const globalValue = v.union([
  v.pipe(v.string(), v.regex(/^([0-9a-fA-F]{2})+$/, "hex digits, two for each byte, without 0x")),
  v.strictObject({ base64: v.pipe(v.string(), v.base64()) }),
]);

export const loadRequest = v.strictObject({
  source: v.strictObject({ file: path }),
  programs: v.pipe(v.array(programSelector), v.minLength(1), v.maxLength(PROGRAMS_PER_LOAD_MAX)),
  globalData: v.optional(v.pipe(table, v.record(name, globalValue)), {}),
  metadata,
  application: v.optional(v.nullable(v.pipe(text, v.minLength(1))), null),
  mapOwnerId: v.optional(v.nullable(id), null),
});
export type LoadRequest = v.InferOutput<typeof loadRequest>;

const priority = v.pipe(
  v.number(`a priority is a whole number from 0 to ${PRIORITY_MAX}`),
  v.integer(`a priority is a whole number from 0 to ${PRIORITY_MAX}`),
  v.minValue(0, `a priority is a whole number from 0 to ${PRIORITY_MAX}`),
  v.maxValue(PRIORITY_MAX, `a priority is a whole number from 0 to ${PRIORITY_MAX}`),
);
const network = {
  iface: v.pipe(v.string(), v.minLength(1), v.maxLength(INTERFACE_CHARS_MAX)),
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
    tracepoint: v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/, "a tracepoint is written CATEGORY/NAME, as in sched/sched_switch"),
    ),
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
]);
export type AttachTarget = v.InferOutput<typeof attachTarget>;

export const attachRequest = v.strictObject({ programId: id, attach: attachTarget, metadata });
export type AttachRequest = v.InferOutput<typeof attachRequest>;

export const unloadRequest = v.strictObject({ programId: id, ignoreMissing: v.optional(v.boolean(), false) });
export type UnloadRequest = v.InferOutput<typeof unloadRequest>;

export const detachRequest = v.strictObject({ linkId: id, ignoreMissing: v.optional(v.boolean(), false) });
export type DetachRequest = v.InferOutput<typeof detachRequest>;

export const getProgramRequest = v.strictObject({ programId: id });
export type GetProgramRequest = v.InferOutput<typeof getProgramRequest>;

export const getLinkRequest = v.strictObject({ linkId: id });
export type GetLinkRequest = v.InferOutput<typeof getLinkRequest>;

/** bpfman's own words and the kernel's (domain/kernel-words.ts); checked where the words are known. */
const programType = v.optional(v.nullable(v.pipe(v.string(), v.minLength(1))), null);
const application = v.optional(v.nullable(text), null);

export const listProgramsRequest = v.strictObject({
  programType,
  application,
  metadataSelector: metadata,
  all: v.optional(v.boolean(), false),
});
export type ListProgramsRequest = v.InferOutput<typeof listProgramsRequest>;

export const listLinksRequest = v.strictObject({ programType, application, metadataSelector: metadata });
export type ListLinksRequest = v.InferOutput<typeof listLinksRequest>;

export const versionRequest = v.strictObject({});
