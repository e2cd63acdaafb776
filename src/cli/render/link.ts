import type { AttachmentAnswer, LinkAnswer, LinkRecordAnswer } from "../../domain/answer.ts";
import { ACTIONS, actionName } from "../../domain/actions.ts";
import type { ChainedKind } from "../../domain/kinds.ts";
import { changeOf, nameNow } from "./attachment.ts";
import { type Fact, type Look, metadataLines, renderFacts } from "./table.ts";

export function renderLink({ record, status }: LinkAnswer, look: Look): string {
  return renderFacts(
    "Bpfman State",
    [
      ["BPF Function:", status.function_name],
      ["Program Type:", record.kind],
      ["Program ID:", record.program_id],
      ["Link ID:", record.id],
      ...detailFacts(record, status.attachment),
      ["Metadata:", metadataLines(record.metadata)],
    ],
    look,
  );
}

function detailFacts({ kind, details }: LinkRecordAnswer, attachment: AttachmentAnswer | null): Fact[] {
  switch (kind) {
    case "xdp":
    case "tc":
    case "tcx":
      return [
        ["Interface:", interfaceFact(details.interface, attachment)],
        ...fact("Direction:", kind === "xdp" ? null : details.direction),
        ["Priority:", details.priority],
        ["Position:", details.position],
        ...fact("Proceed On:", kind === "tcx" ? null : actionNames(kind, details.proceed_on)),
        ...fact("XDP Mode:", kind === "xdp" ? details.xdp_mode : null),
        ["Network Namespace:", details.netns],
      ];
    case "tracepoint":
      return [["Tracepoint:", `${details.group}/${details.name}`]];
    case "iter":
      return [
        ["Iterator:", details.iterator],
        ...(details.map_id === null ? [] : [["Map ID:", details.map_id] as Fact]),
      ];
    case "perf_event":
      return [
        ["Event:", details.event],
        ["CPU:", details.cpu],
        ["PID:", details.pid],
        details.period === null ? ["Frequency:", details.frequency] : ["Period:", details.period],
      ];
    case "kprobe.multi":
    case "kretprobe.multi":
      return [
        ["Pattern:", details.pattern],
        ["Functions:", details.functions],
      ];
    case "uprobe.multi":
    case "uretprobe.multi":
      return [
        ["Target:", `${details.target}${changeOf(attachment)}`],
        ["Pattern:", details.pattern],
        ["Functions:", details.functions],
        ["PID:", details.pid],
        ["Container PID:", details.container_pid],
      ];
    case "raw_tp":
    case "tp_btf":
      return [["Tracepoint:", details.tracepoint]];
    case "uprobe":
    case "uretprobe":
      return [
        ["Target:", `${details.target}${changeOf(attachment)}`],
        ["Attach Function:", details.fn_name],
        ["Offset:", details.offset],
        ["PID:", details.pid],
        ["Container PID:", details.container_pid],
      ];
    case "kprobe":
    case "kretprobe":
      return [
        ["Attach Function:", details.fn_name],
        ["Offset:", details.offset],
        // bpfman attaches kprobes only on the host.
        ["Container PID:", null],
      ];
    case "fentry":
    case "fexit":
    case "fmod_ret":
      return [["Attach Function:", details.fn_name]];
    case "freplace":
      return [
        ["Target Program ID:", details.target_program_id],
        ["Attach Function:", details.fn_name],
      ];
    case "lsm":
      return [["Attach Function:", details.hook_name]];
    case "sk_lookup":
      return [["Network Namespace:", `${details.netns ?? "None"}${changeOf(attachment)}`]];
    case "netfilter":
      return [
        ["Protocol:", details.protocol],
        ["Hook:", details.hook],
        ["Priority:", details.priority],
        ["Defragmentation:", details.defrag ? "yes" : "no"],
        ["Network Namespace:", details.netns === null ? null : `${details.netns}${changeOf(attachment)}`],
      ];
    default:
      return [
        ["Cgroup:", `${details.cgroup}${changeOf(attachment)}`],
        ["Cgroup ID:", details.cgroup_id],
        ["Attach Type:", details.attach_type],
        ["Priority:", details.priority],
        ["Position:", details.position],
      ];
  }
}

/** A line that only some kinds have. */
const fact = (label: string, value: string | null): Fact[] => (value === null ? [] : [[label, value]]);

/** The name of now, and the one that the interface had when it was attached to, if that is another. */
function interfaceFact(attached: string, attachment: AttachmentAnswer | null): string {
  const name = nameNow(attached, attachment);
  const former = name === attached ? "" : ` (was ${attached})`;
  return name + former + changeOf(attachment);
}

const actionNames = (kind: ChainedKind, values: readonly number[]): string =>
  values.map((value) => actionName(ACTIONS[kind], value)).join(", ");
