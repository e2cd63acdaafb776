import type { AttachmentAnswer, LinkAnswer, LinkRecordAnswer } from "../../domain/answer.ts";
import { ACTIONS, actionName } from "../../domain/actions.ts";
import type { ChainedKind } from "../../domain/kinds.ts";
import { changeOf, nameNow } from "./attachment.ts";
import { metadataLines } from "./metadata.ts";
import { type Field, renderFacts, type Look } from "./table.ts";

type Fact = readonly [label: string, value: Field];

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

function detailFacts({ kind, details }: LinkRecordAnswer, attachment: AttachmentAnswer | null): readonly Fact[] {
  switch (kind) {
    case "xdp":
      return [...placeFacts(details, attachment), proceedOn("xdp", details), ["Network Namespace:", details.netns]];
    case "tc":
      return [
        ...placeFacts(details, attachment, details.direction),
        proceedOn("tc", details),
        ["Network Namespace:", details.netns],
      ];
    case "tcx":
      return [...placeFacts(details, attachment, details.direction), ["Network Namespace:", details.netns]];
    case "tracepoint":
      return [["Tracepoint:", `${details.group}/${details.name}`]];
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
      return [["Attach Function:", details.fn_name]];
    case "lsm":
      return [["Attach Function:", details.hook_name]];
  }
}

type Place = Extract<LinkRecordAnswer, { kind: "tcx" | "xdp" }>["details"];

/** The name of now, and the one that the interface had when it was attached to, if that is another. */
function interfaceFact(details: Place, attachment: AttachmentAnswer | null): string {
  const name = nameNow(details.interface, attachment);
  const former = name === details.interface ? "" : ` (was ${details.interface})`;
  return name + former + changeOf(attachment);
}

const placeFacts = (details: Place, attachment: AttachmentAnswer | null, direction?: string): readonly Fact[] => [
  ["Interface:", interfaceFact(details, attachment)],
  ...(direction === undefined ? [] : [["Direction:", direction] as const]),
  ["Priority:", details.priority],
  ["Position:", details.position],
];

const proceedOn = (kind: ChainedKind, details: { readonly proceed_on: readonly number[] }): Fact => [
  "Proceed On:",
  details.proceed_on.map((value) => actionName(ACTIONS[kind], value)).join(", "),
];
