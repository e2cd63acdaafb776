import type {
  DispatcherAnswer,
  DispatcherDetailAnswer,
  DispatcherListAnswer,
  SeenDispatcherAnswer,
} from "../../domain/answer.ts";
import { changeOf, nameNow } from "./attachment.ts";
import { type Fact, type Look, renderFacts, renderTable } from "./table.ts";

/** Its name of now, and what has gone. */
const interfaceOf = ({ interface: name, attachment }: SeenDispatcherAnswer): string =>
  `${nameNow(name, attachment)}${changeOf(attachment)}`;

export function renderDispatcherList({ dispatchers }: DispatcherListAnswer, look: Look): string {
  const heading = ["Type", "Namespace", "Ifindex", "Interface", "Revision", "Mode", "Program ID", "Members"];
  const rows = dispatchers.map((answer) => {
    const { key, revision, mode, runtime, member_count, foreign_members } = answer;
    return [
      ...[key.type, key.nsid, key.ifindex, interfaceOf(answer)],
      ...[foreign_members === undefined ? revision : "foreign", mode],
      runtime.program_id ?? "None",
      member_count,
    ].map(String);
  });
  const foreign = dispatchers.flatMap(({ runtime, foreign_members: members = [] }) =>
    members.map(({ position, priority, program_id, program_name, proceed_on }) =>
      [
        ...[runtime.program_id ?? "None", position, priority ?? "None", program_id, program_name],
        proceed_on === null ? "None" : maskOf(proceed_on),
      ].map(String),
    ),
  );
  const table = renderTable({ heading, rows }, look);
  return foreign.length === 0 ? table : `${table}\n${renderTable({ heading: FOREIGN, rows: foreign }, look)}`;
}

/** Of the members of other tools' dispatchers, which are named by their program IDs. */
const FOREIGN = ["Dispatcher", "Position", "Priority", "Program ID", "Function Name", "Proceed On"];

/** `0x80000004`. */
const maskOf = (proceedOn: number): string => `0x${proceedOn.toString(16).padStart(8, "0")}`;

/** Describes what attaches the dispatcher to its hook. */
function seatFacts({ runtime }: DispatcherAnswer): Fact[] {
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

export function renderDispatcher(answer: DispatcherDetailAnswer, look: Look): string {
  const facts = renderFacts(
    "Dispatcher",
    [
      ["Type:", answer.key.type],
      ["Interface:", interfaceOf(answer)],
      ["Ifindex:", answer.key.ifindex],
      ["Network Namespace:", answer.runtime.netns_path],
      ["Namespace ID:", answer.key.nsid],
      ["Revision:", answer.revision],
      ["Mode:", answer.mode],
      ["Program ID:", answer.runtime.program_id],
      ...seatFacts(answer),
    ],
    look,
  );
  const heading = ["Position", "Priority", "Program ID", "Link ID", "Function Name", "Proceed On"];
  const rows = answer.members.map((member) => [
    ...[member.position, member.priority, member.program_id, member.link_id].map(String),
    member.program_name,
    maskOf(member.proceed_on),
  ]);
  return `${facts}\n${renderTable({ heading, rows }, look)}`;
}
