/** Comparing what is recorded with what is there. */
import { type Action, defineCommand } from "../command.ts";
import { DRY_RUN } from "../fields.ts";
import { renderDoctor, renderRepair } from "../render/doctor.ts";
import type { Answers } from "../../service/operations.ts";
import type { Look } from "../render/table.ts";

/** Distinguishes what was found from what went wrong. */
const FOUND = 10;

/** Like `asking`, but the exit code says whether there are findings. */
const looking =
  <Name extends "doctor" | "repair">(
    name: Name,
    request: unknown,
    text: (answer: Answers[Name], look: Look) => string,
  ): Action =>
  async (session) => {
    const answer = await session.invoke(name, request);
    session.print(answer, text);
    if (answer.findings.length > 0) session.exitWith(FOUND);
  };

export const doctor = defineCommand(() => ({
  description: [
    "Compares what bpfman recorded with what is there: the database, pins, programs,",
    "maps and links in the kernel, what really runs on each hook, saved object",
    "files, mounts, directories, and the writer lock. Changes nothing.",
    "",
    "Each finding has a code (docs/findings.md), and says what follows from it and",
    "what to do. The exit code is 10 if there are any findings; notes do not count.",
  ],
  fields: {},
  classic: { examples: { "Check everything": "bpfman doctor", "For a monitor": "bpfman doctor -o json" } },
  prepare: (request) => looking("doctor", request, renderDoctor),
}));

export const repair = defineCommand(() => ({
  description: [
    "Repairs what doctor finds and can prove to be bpfman's, in this order: mounts,",
    "the database, changes that a killed command left, rows, pins, hooks. What",
    "stopped is not started again, except that a chain is put back on its free hook.",
    "Objects of others are left alone.",
    "",
    "Each step is printed on stderr before it is taken, and is undone if it fails.",
    "The exit code is 10 if any findings are left afterwards.",
  ],
  fields: { dryRun: DRY_RUN },
  classic: { examples: { "See what would be done": "bpfman repair --dry-run", "Do it": "bpfman repair" } },
  prepare: (request) => looking("repair", request, renderRepair),
}));
