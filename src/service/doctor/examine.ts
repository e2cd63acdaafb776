/** Compares what is recorded with what is there, and changes nothing. */
import type { DoctorAnswer, VersionAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import type { Plan } from "../plan.ts";
import { implementation as version } from "../operations/version.ts";
import { checkDatabase, checkLibbpf, checkMounts, checkPlaces, notesOf } from "./around.ts";
import { checkChains } from "./chains.ts";
import { checking, type Found, type Mend, sameFinding } from "./finding.ts";
import { checkLinks } from "./links.ts";
import { checkPrograms } from "./programs.ts";
import { NO_ROWS, type Rows, readRows } from "./rows.ts";
import { checkUnfinished } from "./unfinished.ts";
import { checkVolumes } from "./volumes.ts";
import { checkUnrecorded, confirmedCopies, restoration, restoreRows } from "./unrecorded.ts";

export interface Examination {
  readonly found: readonly Found[];
  readonly rows: Pick<Rows, "programs" | "links" | "dispatchers">;
}

/** How long a change of another process may take until what it leaves between its steps counts as found. */
const SETTLE_MS = 100;
const LOOKS_MAX = 5;

/**
 * Examines everything. What is only there in the middle of another process's change is not found: findings count if they are
 * made twice.
 */
export async function examine(host: Host, context: Context): Promise<Examination> {
  let seen = examineAlone(host, context);
  for (let look = 1; look < LOOKS_MAX && seen.found.length > 0; look++) {
    await host.sleep(SETTLE_MS);
    const before = new Set(seen.found.map(sameFinding));
    const again = examineAlone(host, context);
    seen = { ...again, found: again.found.filter((each) => before.has(sameFinding(each))) };
    if (host.machine.lockHolder()?.stopped !== false) break;
  }
  return seen;
}

/** For whoever holds the writer lock. */
export function examineAlone(host: Host, context: Context): Examination {
  const places = checking("bpfman's directories", () => checkPlaces(host));
  const { path, problem } = host.machine.database();
  if (problem !== null) {
    const pins = countPins(host);
    const besides: string[] = [];
    const action = `set ${path} aside, and write its rows again from the ${pins} pins and the kernel`;
    const mend: Mend = { stage: "database", action, run: (steps) => newDatabase(host, besides, steps), besides };
    return { found: [...places, checkDatabase({ path, pins }, problem, mend)], rows: NO_ROWS };
  }
  let rows: Rows = { ...NO_ROWS, copies: [] };
  const unread = checking("the rows", () => {
    rows = readRows(host);
    return [...rows.found];
  });
  const mounts = checking("the mounts", () => checkMounts(host, rows));
  // Without the mount that has the pins, everything would seem to be missing.
  if (mounts.length > 0) return { found: [...places, ...mounts, ...unread], rows };
  return {
    rows,
    found: [
      ...places,
      ...unread,
      ...checking("unfinished changes", () => checkUnfinished(host, rows, context)),
      ...checking("pins without rows", () => checkUnrecorded(host, rows, context)),
      ...checking("programs", () => checkPrograms(host, rows, context)),
      ...checking("links", () => checkLinks(host, rows, context)),
      ...checking("chains", () => checkChains(host, rows, context)),
      ...checking("volumes", () => checkVolumes(host)),
    ],
  };
}

/** Programs and links that are pinned, without looking into the database. */
function countPins({ pins }: Host): number {
  const { root } = pins.paths;
  return [...pins.list(root), ...pins.list(`${root}/links`)].filter((name) => /^(prog_)?[0-9]+(_[0-9]+)?$/.test(name))
    .length;
}

/** Writes the rows at once: whoever opens the new database must not take it for an empty one. */
async function newDatabase(host: Host, besides: string[], steps: Plan): Promise<void> {
  await steps.step(
    "set the database aside",
    () => host.machine.setDatabaseAside(),
    ({ undo }) => undo(),
  );
  await steps.step("make a new one", () => {
    const { store } = host;
    const copies = confirmedCopies(host, {
      brief: store.brief(),
      dispatchers: store.dispatchers(),
      copies: store.copies(),
    });
    restoreRows(host, copies);
    besides.push(...copies.map(restoration));
  });
}

/** The same finding without what `repair` needs. */
export const shown = ({ mend: _, ...answer }: Found): DoctorAnswer["findings"][number] => answer;

export async function doctorAnswer(host: Host, context: Context): Promise<DoctorAnswer> {
  const machine: VersionAnswer = await version.run(host.machine, { features: true }, context);
  const { found, rows } = await examine(host, context);
  const { programs, links, dispatchers } = rows;
  return {
    findings: [...checkLibbpf(machine), ...found].map(shown),
    notes: notesOf(host, machine, rows),
    checked: { programs: programs.length, links: links.length, dispatchers: dispatchers.length },
    machine,
  };
}
