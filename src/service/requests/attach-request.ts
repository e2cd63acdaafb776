import * as v from "valibot";
import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { XDP_MODES } from "../../domain/config.ts";
import type { AttachKind } from "../../domain/kinds.ts";
import { ALTERNATIVE_NAME_CHARS_MAX } from "../../domain/limits.ts";
import { CGROUP_PRIORITY_DEFAULT, DIRECTIONS, NETFILTER_HOOKS, NETFILTER_PROTOCOLS } from "../../domain/link.ts";
import * as fields from "./request-fields.ts";

const orNull = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.nullable(schema), null);

const network = () => ({
  iface: v.pipe(v.string(), v.minLength(1), v.maxLength(ALTERNATIVE_NAME_CHARS_MAX)),
  priority: fields.priority(),
  netns: orNull(fields.path()),
});
/** By its number, from 0. */
const processor = () => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0x7fff_ffff));
const direction = () => v.picklist(DIRECTIONS);
const wordOf = <const T extends Record<string, number>>(numbers: T) =>
  v.picklist(Object.keys(numbers) as (keyof T & string)[]);
const names = <const T extends Record<string, number>>(actions: T) => v.optional(v.array(wordOf(actions)), []);

const none = () => ({});

/** The fields that each kind of hook has. Made for the kind that is asked for: together they take longer than the rest of a request. */
const TARGETS = {
  xdp: () => ({
    ...network(),
    proceedOn: names(XDP_ACTIONS),
    /** Null takes the mode of the chain that is there, or the configured one, or the best that works. */
    xdpMode: orNull(v.picklist(XDP_MODES)),
  }),
  tc: () => ({ ...network(), direction: direction(), proceedOn: names(TC_ACTIONS) }),
  tcx: () => ({ ...network(), direction: direction() }),
  tracepoint: () => ({
    /** CATEGORY/NAME. Checked where the tracepoints are known. */
    tracepoint: fields.name(),
  }),
  kprobe: () => ({
    fnName: fields.name(),
    offset: v.optional(fields.offset(), 0),
    containerPid: orNull(fields.pid()),
  }),
  uprobe: () => ({
    target: fields.path(),
    fnName: orNull(fields.name()),
    offset: v.optional(fields.offset(), 0),
    pid: orNull(fields.pid()),
    containerPid: orNull(fields.pid()),
  }),
  fentry: none,
  fexit: none,
  lsm: none,
  raw_tp: () => ({
    /** The name alone. Checked where the tracepoints are known. */
    tracepoint: fields.name(),
  }),
  tp_btf: none,
  fmod_ret: none,
  freplace: none,
  iter: () => ({
    /** The map whose entries it visits, for iterators that visit a map's. */
    map: orNull(fields.mapName()),
  }),
  perf_event: () => ({
    event: fields.name(),
    cpu: orNull(processor()),
    pid: orNull(fields.pid()),
    period: orNull(fields.count()),
    frequency: orNull(fields.count()),
  }),
  "kprobe.multi": () => ({
    /** A pattern: * stands for any characters, ? for one. */
    fnName: fields.name(),
  }),
  "uprobe.multi": () => ({
    target: fields.path(),
    /** A pattern: * stands for any characters, ? for one. */
    fnName: fields.name(),
    pid: orNull(fields.pid()),
    containerPid: orNull(fields.pid()),
  }),
  cgroup: () => ({
    cgroup: fields.path(),
    priority: v.optional(fields.priority(), CGROUP_PRIORITY_DEFAULT),
    /** For programs whose section does not say it. */
    direction: orNull(direction()),
  }),
  sk_lookup: () => ({ netns: orNull(fields.path()) }),
  netfilter: () => ({
    protocol: wordOf(NETFILTER_PROTOCOLS),
    hook: wordOf(NETFILTER_HOOKS),
    priority: v.optional(fields.signedPriority(), 0),
    defrag: v.optional(v.boolean(), false),
    netns: orNull(fields.path()),
  }),
} satisfies { readonly [Kind in AttachKind]: () => v.ObjectEntries };
type Targets = typeof TARGETS;
type TargetSchema<Kind extends AttachKind = AttachKind> = Kind extends AttachKind
  ? v.StrictObjectSchema<{ readonly kind: v.LiteralSchema<Kind, undefined> } & ReturnType<Targets[Kind]>, undefined>
  : never;
export type AttachTarget = v.InferOutput<TargetSchema>;

/** Where a kind of hook is. */
export function targetOfKind(kind: AttachKind): TargetSchema {
  return v.strictObject({ kind: v.literal(kind), ...TARGETS[kind]() }) as unknown as TargetSchema;
}

/** Where a hook of any kind is. */
export function attachTarget() {
  const kinds = Object.keys(TARGETS) as AttachKind[];
  return v.variant("kind", kinds.map(targetOfKind));
}

/** Of a request to attach to a kind of hook, the schema with that kind alone. */
export function attachRequest(request?: unknown) {
  const { kind } = Object((request as { readonly attach?: unknown } | null | undefined)?.attach) as { kind?: unknown };
  const isKnown = typeof kind === "string" && Object.hasOwn(TARGETS, kind);
  return v.strictObject({
    programId: fields.idOrName(),
    attach: isKnown ? targetOfKind(kind as AttachKind) : attachTarget(),
    metadata: fields.metadata(),
  });
}
export type AttachRequest = v.InferOutput<ReturnType<typeof attachRequest>>;
