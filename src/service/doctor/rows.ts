/** Reads the rows one by one, so that one that cannot be understood does not hide the others. */
import type { DispatcherRecord } from "../../domain/dispatcher.ts";
import type { LinkRecord } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { RowCopy, RowInBrief } from "../../platform/store.ts";
import { type Found, finding } from "./finding.ts";

export interface Rows {
  readonly brief: readonly RowInBrief[];
  /** Those in state `ready`. */
  readonly programs: readonly ProgramRecord[];
  readonly links: readonly LinkRecord[];
  readonly dispatchers: readonly DispatcherRecord[];
  /** Copies of rows in the runtime directory. */
  readonly copies: readonly RowCopy[];
  readonly found: readonly Found[];
}

export const NO_ROWS: Omit<Rows, "copies"> = { brief: [], programs: [], links: [], dispatchers: [], found: [] };

export function readRows(host: Host): Rows {
  const { store } = host;
  const found: Found[] = [];
  const brief = store.brief();
  const copies = store.copies();
  const programs = brief.flatMap((row) =>
    row.kind !== "program" || row.state !== "ready"
      ? []
      : (readable(
          () => store.program(row.id),
          `program ${row.id}`,
          () => {
            const copy = copies.find(({ kind, record }) => kind === "program" && record.id === row.id);
            return copy && (() => store.restore([copy]));
          },
        ) ?? []),
  );
  const links = brief.flatMap((row) =>
    row.kind !== "link" || row.state !== "ready"
      ? []
      : (readable(
          () => store.link(row.id),
          `link ${row.id}`,
          () => {
            const copy = copies.find(({ kind, record }) => kind === "link" && record.id === row.id);
            return copy && (() => store.restore([copy]));
          },
        ) ?? []),
  );
  const dispatchers =
    readable(
      () => store.dispatchers(),
      "the chains",
      () => undefined,
    ) ?? [];
  return { brief, programs, links, dispatchers, copies, found };

  function readable<T>(read: () => T | null, what: string, mendOf: () => (() => void) | undefined): T | null {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError)) throw thrown;
      const run = mendOf();
      const action = `write the row of ${what} again from its copy`;
      const more =
        run === undefined
          ? { remedy: "move the database and its -wal and -shm away, then run: bpfman repair" }
          : { mend: { stage: "records", action, run } as const };
      found.push(finding("row-unreadable", thrown.message, { reason: thrown.message }, more));
      return null;
    }
  }
}
