import type { LinkAnswer, LinkRecordAnswer } from "../../domain/answer.ts";
import { ACTIONS, actionName } from "../../domain/actions.ts";
import type { ChainedKind } from "../../domain/kinds.ts";
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
      ...detailFacts(record),
      ["Metadata:", metadataLines(record.metadata)],
    ],
    look,
  );
}

function detailFacts({ kind, details }: LinkRecordAnswer): readonly Fact[] {
  switch (kind) {
    case "xdp":
      return [...placeFacts(details), proceedOn("xdp", details), ["Network Namespace:", details.netns]];
    case "tc":
      return [
        ...placeFacts(details, details.direction),
        proceedOn("tc", details),
        ["Network Namespace:", details.netns],
      ];
    case "tcx":
      return [...placeFacts(details, details.direction), ["Network Namespace:", details.netns]];
    case "tracepoint":
      return [["Tracepoint:", `${details.group}/${details.name}`]];
    case "uprobe":
    case "uretprobe":
      return [
        ["Target:", details.target],
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

const placeFacts = (details: Place, direction?: string): readonly Fact[] => [
  ["Interface:", details.interface],
  ...(direction === undefined ? [] : [["Direction:", direction] as const]),
  ["Priority:", details.priority],
  ["Position:", details.position],
];

const proceedOn = (kind: ChainedKind, details: { readonly proceed_on: readonly number[] }): Fact => [
  "Proceed On:",
  details.proceed_on.map((value) => actionName(ACTIONS[kind], value)).join(", "),
];
