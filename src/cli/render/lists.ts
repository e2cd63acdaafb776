import type {
  LinkListAnswer,
  PinState,
  ProgramAnswer,
  ProgramListAnswer,
  ProgramListEntry,
} from "../../domain/answer.ts";
import { programTypeTextOfJson } from "../../domain/kernel-words.ts";
import { applicationOf } from "../../domain/program.ts";
import { attachmentOf } from "./attachment.ts";
import { renderTable, type Look, type Table } from "./table.ts";

/** How many link IDs a cell shows. The total precedes them. */
const LINKS_SHOWN_MAX = 3;

type ProgramRow = Omit<ProgramListEntry, "record" | "kernel" | "status" | "state"> & { readonly state?: PinState };

export function renderProgramList({ programs }: { readonly programs: readonly ProgramRow[] }, look: Look): string {
  const rows = programs.map((program) => [
    String(program.program_id),
    program.application ?? "",
    program.managed ? program.type : programTypeTextOfJson(program.type),
    program.function_name || "None",
    program.managed ? linksCell(program.links) : "(not managed)",
  ]);
  const heading = ["Program ID", "Application", "Type", "Function Name", "Links"];
  return renderTable(withStates({ heading, rows }, programs), look);
}

/** Renders `(4) 1, 2, 3, ...`, or nothing. */
function linksCell(links: ProgramListAnswer["programs"][number]["links"]): string {
  if (links.length === 0) return "";
  const shown = links.slice(0, LINKS_SHOWN_MAX).join(", ");
  return `(${links.length}) ${shown}${links.length > LINKS_SHOWN_MAX ? ", ..." : ""}`;
}

/** Returns a program's line in the list. */
export function entryOf({ record, status }: ProgramAnswer): ProgramRow {
  return {
    program_id: record?.program_id ?? status.kernel?.id ?? 0,
    managed: record !== null,
    application: record === null ? null : applicationOf(record.meta.metadata),
    type: record?.load.program_type ?? status.kernel?.program_type ?? "",
    function_name: record?.load.program_name ?? status.kernel?.name ?? "",
    links: status.links.map((link) => link.record.id),
  };
}

export function renderLinkList({ links }: LinkListAnswer, look: Look): string {
  const rows = links.map((link) => [
    String(link.program_id),
    String(link.id),
    link.application ?? "",
    link.kind,
    link.function_name,
    attachmentOf(link, link.attachment),
  ]);
  const heading = ["Program ID", "Link ID", "Application", "Type", "Function Name", "Attachment"];
  return renderTable(withStates({ heading, rows }, links), look);
}

/** Adds a column if anything is wrong, before the last one, which is often wide. */
function withStates({ heading, rows }: Table, entries: readonly { readonly state?: PinState }[]): Table {
  const states = entries.map(({ state }) => state ?? "");
  if (states.every((state) => state === "")) return { heading, rows };
  return {
    heading: heading.toSpliced(-1, 0, "State"),
    rows: rows.map((cells, at) => cells.toSpliced(-1, 0, states[at] as string)),
  };
}
