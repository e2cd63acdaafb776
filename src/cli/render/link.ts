import type { LinkAnswer, LinkDetailsAnswer } from "../../domain/answer.ts";
import { actionName, TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { metadataLines } from "./metadata.ts";
import { type Field, renderFacts } from "./table.ts";

type Fact = readonly [label: string, value: Field];

export function renderLink({ record, status }: LinkAnswer, styled: boolean): string {
  return renderFacts(
    "Bpfman State",
    [
      ["BPF Function:", status.function_name],
      ["Program Type:", record.kind],
      ["Program ID:", record.program_id],
      ["Link ID:", record.id],
      ...detailFacts(record.details),
      ["Metadata:", metadataLines(record.metadata)],
    ],
    styled,
  );
}

/** The shapes are told apart by their keys, as a reader of the JSON would. */
function detailFacts(details: LinkDetailsAnswer): readonly Fact[] {
  if ("interface" in details) {
    const facts: Fact[] = [["Interface:", details.interface]];
    if ("direction" in details) facts.push(["Direction:", details.direction]);
    facts.push(["Priority:", details.priority], ["Position:", details.position]);
    if ("proceed_on" in details) {
      const actions = "direction" in details ? TC_ACTIONS : XDP_ACTIONS;
      facts.push(["Proceed On:", details.proceed_on.map((value) => actionName(actions, value)).join(", ")]);
    }
    return [...facts, ["Network Namespace:", details.netns]];
  }
  if ("group" in details) return [["Tracepoint:", `${details.group}/${details.name}`]];
  if ("target" in details) {
    return [
      ["Target:", details.target],
      ["Attach Function:", details.fn_name],
      ["Offset:", details.offset],
      ["PID:", details.pid],
      ["Container PID:", details.container_pid],
    ];
  }
  if ("offset" in details) {
    return [
      ["Attach Function:", details.fn_name],
      ["Offset:", details.offset],
      // bpfman attaches kprobes on the host only.
      ["Container PID:", null],
    ];
  }
  return [["Attach Function:", "hook_name" in details ? details.hook_name : details.fn_name]];
}
