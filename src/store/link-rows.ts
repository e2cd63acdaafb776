import type { SQLQueryBindings } from "bun:sqlite";
import type { KernelLinkId, LinkId } from "../domain/ids.ts";
import type { RowState } from "../domain/program.ts";
import type { LinkDraft, StorePort } from "../platform/store.ts";
import { type Opened, type Reading, records, remove, runUpdate, select, transaction, update } from "./rows.ts";
import { kernelLinkId, linkId, mapId, programId } from "../domain/ids.ts";
import type { KernelAttachType } from "../domain/kernel-words.ts";
import { CGROUP_KINDS } from "../domain/kinds.ts";
import { PERF_EVENTS } from "../domain/perf-events.ts";
import {
  type CgroupDetails,
  DIRECTIONS,
  type FreplaceDetails,
  type IterDetails,
  type KprobeDetails,
  type KprobeMultiDetails,
  type LinkDetails,
  type LinkKind,
  type LinkRecord,
  type PerfEventDetails,
  type RawTpDetails,
  NETFILTER_HOOKS,
  NETFILTER_PROTOCOLS,
  type NetfilterDetails,
  type SkLookupDetails,
  type TcDetails,
  type TcxDetails,
  type TracepointDetails,
  type TracingDetails,
  type UprobeDetails,
  type UprobeMultiDetails,
  type XdpDetails,
} from "../domain/link.ts";
import {
  type Check,
  type Fields,
  fields,
  id,
  json,
  listOf,
  nullable,
  oneOf,
  shape,
  text,
  time,
  truth,
  whole,
} from "./decode.ts";
import { metadata } from "./program-rows.ts";

const network = { interface: text, ifindex: whole(1), netns: nullable(text), nsid: whole(0), priority: whole(0) };
const direction = oneOf(DIRECTIONS);
// TC_ACT_UNSPEC is -1.
const proceedOn = listOf(whole(-1));
const pid = nullable(whole(1));

const kprobe = () => shape<KprobeDetails>({ kind: oneOf(["kprobe", "kretprobe"]), fnName: text, offset: whole(0) });
const uprobeFile = {
  path: text,
  target: text,
  pid,
  containerPid: pid,
  // Rows of before it was kept have none.
  fileId: (value: unknown, place: string) => (value === undefined ? null : nullable(text)(value, place)),
};
const uprobe = () =>
  shape<UprobeDetails>({
    kind: oneOf(["uprobe", "uretprobe"]),
    ...uprobeFile,
    fnName: nullable(text),
    offset: whole(0),
    fileOffset: whole(0),
  });
const matched = { pattern: text, count: whole(1) };
const kprobeMulti = () => shape<KprobeMultiDetails>({ kind: oneOf(["kprobe.multi", "kretprobe.multi"]), ...matched });
const uprobeMulti = () =>
  shape<UprobeMultiDetails>({
    kind: oneOf(["uprobe.multi", "uretprobe.multi"]),
    ...uprobeFile,
    ...matched,
  });
const tracing = () =>
  shape<TracingDetails>({ kind: oneOf(["fentry", "fexit", "lsm", "tp_btf", "fmod_ret"]), fnName: text });

/** The names of the kernel's constants that are in a row were there when it was written. */
const attachType = text as Check<KernelAttachType>;
const cgroup = () =>
  shape<CgroupDetails>({
    kind: oneOf(CGROUP_KINDS),
    cgroup: text,
    cgroupId: whole(1),
    attachType,
    priority: whole(0),
  });
const wordOf = <Word extends string>(numbers: Readonly<Record<Word, number>>) => oneOf(Object.keys(numbers) as Word[]);

/** Made for the kinds that there are rows of: together they take longer than a short list. */
const DETAILS: { readonly [Kind in LinkKind]: () => Check<LinkDetails> } = {
  xdp: () => shape<XdpDetails>({ kind: oneOf(["xdp"]), ...network, position: whole(0), proceedOn }),
  tc: () => shape<TcDetails>({ kind: oneOf(["tc"]), ...network, direction, position: whole(0), proceedOn }),
  tcx: () => shape<TcxDetails>({ kind: oneOf(["tcx"]), ...network, direction }),
  tracepoint: () => shape<TracepointDetails>({ kind: oneOf(["tracepoint"]), group: text, name: text }),
  raw_tp: () => shape<RawTpDetails>({ kind: oneOf(["raw_tp"]), name: text }),
  kprobe,
  kretprobe: kprobe,
  uprobe,
  uretprobe: uprobe,
  fentry: tracing,
  lsm: tracing,
  fexit: tracing,
  tp_btf: tracing,
  "kprobe.multi": kprobeMulti,
  "kretprobe.multi": kprobeMulti,
  "uprobe.multi": uprobeMulti,
  "uretprobe.multi": uprobeMulti,
  fmod_ret: tracing,
  freplace: () =>
    shape<FreplaceDetails>({
      kind: oneOf(["freplace"]),
      targetProgramId: (...at) => programId(id(...at)),
      fnName: text,
    }),
  iter: () => shape<IterDetails>({ kind: oneOf(["iter"]), target: text, mapId: nullable((...at) => mapId(id(...at))) }),
  perf_event: () =>
    shape<PerfEventDetails>({
      kind: oneOf(["perf_event"]),
      event: oneOf(PERF_EVENTS),
      cpu: nullable(whole(0)),
      pid,
      period: nullable(whole(1)),
      frequency: nullable(whole(1)),
    }),
  cgroup_device: cgroup,
  cgroup_skb: cgroup,
  cgroup_sock: cgroup,
  cgroup_sock_addr: cgroup,
  cgroup_sockopt: cgroup,
  cgroup_sysctl: cgroup,
  sockops: cgroup,
  sk_lookup: () => shape<SkLookupDetails>({ kind: oneOf(["sk_lookup"]), netns: nullable(text), nsid: whole(0) }),
  netfilter: () =>
    shape<NetfilterDetails>({
      kind: oneOf(["netfilter"]),
      netns: nullable(text),
      nsid: whole(0),
      protocol: wordOf(NETFILTER_PROTOCOLS),
      hook: wordOf(NETFILTER_HOOKS),
      priority: whole(-0x8000_0000),
      defrag: truth,
    }),
};
const kind = oneOf(Object.keys(DETAILS) as LinkKind[]);
const checks = new Map<LinkKind, Check<LinkDetails>>();
const details = json((value, place) => {
  const found = kind(fields(value, place).kind, `${place}.kind`);
  const check = checks.get(found) ?? DETAILS[found]();
  checks.set(found, check);
  return check(value, place);
});
const optionalId = nullable(id);

/** Throws Undecodable. */
export function linkRecord(row: Fields): LinkRecord {
  const kernelId = optionalId(row.kernel_link_id, "kernel_link_id");
  return {
    id: linkId(id(row.link_id, "link_id")),
    programId: programId(id(row.program_id, "program_id")),
    kernelLinkId: kernelId === null ? null : kernelLinkId(kernelId),
    pinPath: text(row.pin_path, "pin_path"),
    details: details(row.details, "details"),
    metadata: metadata(row.metadata, "metadata"),
    createdAt: time(row.created_at_ms, "created_at_ms"),
  };
}

export const LINKS: Reading<LinkRecord> = { table: "links", key: "link_id", record: linkRecord };

/** One that is restored has its ID, and belongs to what it belonged to. */
const INSERT_LINK = `INSERT INTO links
    (link_id, boot_id, owner, program_id, state, pin_path, details, metadata, created_at_ms, applied)
  VALUES (?1, ?, ?, ?, 'pending', '', ?, ?, ?, (SELECT applied FROM wishes WHERE link_id = ?1)) RETURNING link_id`;

/**
 * One statement for each step of an attach: preparing one, with the triggers of the table, takes longer than all of its uses. A path
 * that is null stays.
 */
const SET_STEP = `UPDATE links SET pin_path = ifnull(?, pin_path), kernel_link_id = ?, state = ?
  WHERE boot_id = ? AND link_id = ?`;

/** Links, from the pending row on. */
export function linkRows(on: Opened) {
  const { database, bootId } = on;
  const setStep = (id: LinkId, pinPath: string | null, kernelLinkId: KernelLinkId | null, state: RowState): void =>
    runUpdate(on, LINKS, id, { sql: SET_STEP, values: [pinPath, kernelLinkId, state] });
  return {
    insertLink(draft: LinkDraft, pinPath: (id: LinkId) => string): LinkRecord {
      const { programId: program, details, metadata, createdAt } = draft;
      return transaction(on, () => {
        const row = database
          .query<{ link_id: number }, SQLQueryBindings[]>(INSERT_LINK)
          .get(
            draft.id ?? null,
            bootId,
            on.owner,
            program,
            JSON.stringify(details),
            JSON.stringify(metadata),
            createdAt.getTime(),
          );
        const made = linkId(id(row?.link_id, "link_id"));
        const record: LinkRecord = { ...draft, id: made, kernelLinkId: null, pinPath: pinPath(made) };
        setStep(made, record.pinPath, null, "pending");
        return record;
      });
    },
    expectLink: (id, kernelLinkId) => setStep(id, null, kernelLinkId, "pending"),
    settleLink: (id, kernelLinkId) => setStep(id, null, kernelLinkId, "ready"),
    setLinkState: (id, state) => update(on, LINKS, id, { state }),
    deleteLink: (id) => remove(on, LINKS, id),
    link: (id) => records(on, LINKS, "state = 'ready' AND link_id = ?", id)[0] ?? null,
    links: (program) =>
      program === undefined
        ? records(on, LINKS, "state = 'ready'")
        : records(on, LINKS, "state = 'ready' AND program_id = ?", program),
    unsettledLinks: () => select(on, LINKS, "state <> 'ready'"),

    moveLink: (id, { programId: program, details, pinPath, kernelLinkId }) =>
      update(on, LINKS, id, {
        program_id: program,
        details: JSON.stringify(details),
        pin_path: pinPath,
        kernel_link_id: kernelLinkId,
        state: "ready",
      }),
  } satisfies Partial<StorePort>;
}
