import { boolean, optional, strictObject } from "valibot";
import type { NoteAnswer, RepairAnswer, RepairStepAnswer } from "../../domain/answer.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import { examine, examineAlone, shown } from "../doctor/examine.ts";
import { type Found, type Mend, sameFinding, STAGES } from "../doctor/finding.ts";
import { type Context, operation } from "../operation.ts";
import { carryOut } from "../plan.ts";

type Mendable = Found & { readonly mend: Mend };

const canMend = (found: Found): found is Mendable => found.mend !== null;

/** Each round makes one stage's repairs, after which the rest is found anew; a repair can bring up what an earlier stage repairs. */
const ROUNDS_MAX = 3 * STAGES.length;

const inOrder = (found: readonly Found[]): Mendable[] =>
  found.filter(canMend).toSorted((a, b) => STAGES.indexOf(a.mend.stage) - STAGES.indexOf(b.mend.stage));

const stepOf = ({ code, what, mend }: Mendable): Pick<RepairStepAnswer, "code" | "what" | "action"> => ({
  ...{ code, what, action: mend.action },
});

async function plan(host: Host, context: Context): Promise<RepairAnswer> {
  const { found } = await examine(host, context);
  const steps = inOrder(found).map((each) => ({ ...stepOf(each), result: "planned", reason: null }) as const);
  return { dry_run: true, steps, notes: notesOf(steps), findings: found.map(shown) };
}

/** Makes one repair, undoes its steps if one of them fails, and says so. */
async function make(found: Mendable, context: Context): Promise<RepairStepAnswer[]> {
  try {
    await carryOut(context, async (steps) => found.mend.run(steps));
    const actions = [found.mend.action, ...(found.mend.besides ?? [])];
    return actions.map((action) => ({ ...stepOf(found), action, result: "done", reason: null }));
  } catch (thrown) {
    return [{ ...stepOf(found), result: "failed", reason: reasonOf(thrown) }];
  }
}

async function repair(host: Host, context: Context): Promise<RepairAnswer> {
  const steps: RepairStepAnswer[] = [];
  const tried = new Set<string>();
  let { found } = examineAlone(host, context);
  for (let round = 0; round < ROUNDS_MAX && !context.signal.aborted; round++) {
    const todo = inOrder(found).filter((each) => !tried.has(sameFinding(each)));
    const stage = todo[0]?.mend.stage;
    const now = todo.filter(({ mend }) => mend.stage === stage);
    if (now.length === 0) break;
    for (const { mend } of now) context.relay(`repair: ${mend.action}`);
    // One repair can be that of several findings.
    const made = new Map<unknown, readonly RepairStepAnswer[]>();
    for (const each of now) {
      const before = made.get(each.mend.run)?.slice(0, 1);
      const results = before?.map((step) => ({ ...step, ...stepOf(each) })) ?? (await make(each, context));
      made.set(each.mend.run, results);
      tried.add(sameFinding(each));
      steps.push(...results);
    }
    ({ found } = examineAlone(host, context));
  }
  if (!found.some(({ code }) => code.startsWith("database-"))) host.store.refreshCopies();
  const done = steps.flatMap(({ result, action }) => (result === "done" ? [action] : []));
  if (done.length > 0) context.note({ message: done.join("; ") });
  return { dry_run: false, steps, notes: notesOf(steps), findings: found.map(shown) };
}

/** What the steps could not bring back. */
function notesOf(steps: readonly RepairStepAnswer[]): NoteAnswer[] {
  const anew = steps.some(({ code, result }) => /^database-(lost|damaged)$/.test(code) && result !== "failed");
  if (!anew) return [];
  const what =
    "rows are written again from the pins, the kernel, and the copies of rows in the runtime directory; of a program without " +
    "such a copy, metadata, global data and source are lost; the history of operations and the log of changes begin anew";
  return [{ subject: "rebuilt", what }];
}

export const implementation = operation({
  request: strictObject({ dryRun: optional(boolean(), false) }),
  examines: true,
  onlyReads: ({ dryRun }: { dryRun: boolean }) => dryRun,
  run: (host: Host, { dryRun }: { dryRun: boolean }, context: Context): Promise<RepairAnswer> =>
    dryRun ? plan(host, context) : repair(host, context),
});
