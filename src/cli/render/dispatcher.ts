import type {
  DispatcherAnswer,
  DispatcherDetailAnswer,
  DispatcherListAnswer,
  SeenDispatcherAnswer,
} from "../../domain/answer.ts";
import { changeOf, nameNow } from "./attachment.ts";
import { type Field, renderFacts, renderTable } from "./table.ts";

/** Its name of now, and what has gone. */
const interfaceOf = ({ interface: name, attachment }: SeenDispatcherAnswer): string =>
  `${nameNow(name, attachment)}${changeOf(attachment)}`;

export function renderDispatcherList({ dispatchers }: DispatcherListAnswer, styled: boolean): string {
  const heading = ["Type", "Namespace", "Ifindex", "Interface", "Revision", "Program ID", "Members"];
  const rows = dispatchers.map((answer) => {
    const { key, revision, runtime, member_count } = answer;
    return [
      key.type,
      key.nsid,
      key.ifindex,
      interfaceOf(answer),
      revision,
      runtime.program_id ?? "None",
      member_count,
    ].map(String);
  });
  return renderTable({ heading, rows }, styled);
}

/** What holds the dispatcher on its hook. */
function seatFacts({ runtime }: DispatcherAnswer): (readonly [string, Field])[] {
  if (runtime.filter_handle === undefined) {
    return [
      ["Kernel Link ID:", runtime.kernel_link_id ?? null],
      ["XDP Mode:", runtime.mode ?? null],
    ];
  }
  return [
    ["Filter Priority:", runtime.filter_priority ?? null],
    ["Filter Handle:", runtime.filter_handle],
  ];
}

export function renderDispatcher(answer: DispatcherDetailAnswer, styled: boolean): string {
  const facts = renderFacts(
    "Dispatcher",
    [
      ["Type:", answer.key.type],
      ["Interface:", interfaceOf(answer)],
      ["Ifindex:", answer.key.ifindex],
      ["Network Namespace:", answer.runtime.netns_path],
      ["Namespace ID:", answer.key.nsid],
      ["Revision:", answer.revision],
      ["Program ID:", answer.runtime.program_id],
      ...seatFacts(answer),
    ],
    styled,
  );
  const heading = ["Position", "Priority", "Program ID", "Link ID", "Function Name", "Proceed On"];
  const rows = answer.members.map((member) => [
    ...[member.position, member.priority, member.program_id, member.link_id].map(String),
    member.program_name,
    `0x${member.proceed_on.toString(16).padStart(8, "0")}`,
  ]);
  return `${facts}\n${renderTable({ heading, rows }, styled)}`;
}
