/** Commands that remove programs and links. */
import type { DeleteAnswer } from "../../domain/answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import { type Action, defineCommand, each, type Session, toggle, vary, usageError } from "../command.ts";
import { Series } from "../../service/invoke.ts";
import { ALL, LINK_ID, PROGRAM_ID } from "../fields.ts";

/**
 * Performs an operation for each ID, once. Reports failures and continues with the next ID, unless the user interrupted. A
 * program that another one holds is tried again after the others, which may hold it.
 */
async function forEachId<Answer>(
  session: Session,
  ids: readonly (number | string)[],
  run: (id: number | string, series: Series) => Promise<Answer>,
): Promise<Answer[]> {
  const series = new Series();
  const answers: Answer[] = [];
  const queue = [...new Set(ids)];
  const first = queue.length;
  try {
    for (const [turn, id] of queue.entries()) {
      try {
        answers.push(await run(id, series));
      } catch (error) {
        if (!(error instanceof BpfmanError)) throw error;
        if (error.code === "PROGRAM_IN_USE" && turn < first - 1) {
          queue.push(id);
          continue;
        }
        session.fail(error);
        if (error.kind === "cancelled") break;
      }
    }
  } finally {
    await series.end();
  }
  return answers;
}

const IGNORE_MISSING = toggle({ long: "ignore-missing", doc: ["Ignore what does not exist."] });

const nothing = (): string => "";

/** Removes one by one, and prints the answers under that key. */
const removingEach =
  (
    key: string,
    ids: readonly (number | string)[],
    run: (session: Session, id: number | string, series: Series) => Promise<unknown>,
  ): Action =>
  async (session) =>
    session.print({ [key]: await forEachId(session, ids, (id, series) => run(session, id, series)) }, nothing);

export const unload = defineCommand(() => ({
  description: ["Unloads programs. Their links are detached first."],
  fields: {
    programIds: each(PROGRAM_ID, {
      doc: [
        "Programs to unload: IDs, names, or APPLICATION/NAME, separated by spaces.",
        "A failure does not stop the rest. See `bpfman list programs`.",
      ],
    }),
    ignoreMissing: IGNORE_MISSING,
  },
  examples: {
    "Unload two programs": ["bpfman unload 63178 63179", "bpfman program unload 63178 63179"],
    "Unload a program by its name": ["bpfman unload xdp_stats", "bpfman program unload xdp_stats"],
    "Clean up, whether or not the program still exists": [
      "bpfman unload --ignore-missing 63178",
      "bpfman program unload --ignore-missing 63178",
    ],
  },
  classic: { words: ["programIds"] },
  noun: { words: ["programIds"] },
  prepare: ({ programIds, ignoreMissing }) =>
    removingEach("unloaded", programIds, (session, programId, series) =>
      session.invoke("program/unload", { programId, ignoreMissing }, { series }),
    ),
}));

export const detach = defineCommand(() => ({
  fields: {
    linkIds: each(LINK_ID, {
      doc: [
        "Links to detach: IDs, or names of programs with one link, separated by spaces.",
        "A failure does not stop the rest. See `bpfman list links`.",
      ],
    }),
    ignoreMissing: IGNORE_MISSING,
  },
  examples: {
    "Detach two links": ["bpfman detach 3 4", "bpfman link detach 3 4"],
    "Detach the only link of a program": ["bpfman detach xdp_stats", "bpfman link detach xdp_stats"],
    "Clean up, whether or not the link still exists": [
      "bpfman detach --ignore-missing 3",
      "bpfman link detach --ignore-missing 3",
    ],
  },
  classic: { words: ["linkIds"] },
  noun: { words: ["linkIds"] },
  prepare: ({ linkIds, ignoreMissing }) =>
    removingEach("detached", linkIds, (session, linkId, series) =>
      session.invoke("link/detach", { linkId, ignoreMissing }, { series }),
    ),
}));

const RECURSIVE = toggle({
  long: "recursive",
  short: "r",
  doc: ["Also delete programs that share the maps of a deleted program, or replace functions of it."],
});

/** Deletes one by one. An ID that an earlier deletion already removed is skipped. */
const deletingEach =
  (
    ids: readonly (number | string)[],
    goes: "deleted" | "detached",
    run: (session: Session, id: number | string, series: Series) => Promise<DeleteAnswer>,
  ): Action =>
  async (session) => {
    const answers: DeleteAnswer[] = [];
    await forEachId(session, ids, async (id, series) => {
      const isGone = answers.some((answer) => answer[goes].some((gone) => gone === id));
      if (!isGone) answers.push(await run(session, id, series));
    });
    const deleted = answers.flatMap((answer) => answer.deleted);
    session.print({ deleted, detached: answers.flatMap((answer) => answer.detached) }, nothing);
  };

export const deletePrograms = defineCommand(() => ({
  description: [
    "Deletes programs after detaching their links. Maps that other programs share",
    "stay until the last of these is deleted; --recursive deletes those first, and",
    "programs that replace functions of a deleted one, which would not be deleted else.",
  ],
  fields: {
    programIds: each(PROGRAM_ID, {
      required: false,
      doc: [
        "Programs to delete: IDs, names, or APPLICATION/NAME, separated by spaces.",
        "A failure does not stop the rest.",
      ],
    }),
    all: vary(ALL, { short: undefined, doc: ["Delete every program that bpfman loaded."], noun: {} }),
    recursive: RECURSIVE,
    unmount: toggle({
      long: "unmount",
      doc: [
        "With --all, unmount the runtime directory's bpffs as well, and remove the",
        "directory if nothing else is in it.",
      ],
    }),
  },
  noun: {
    words: ["programIds"],
    examples: {
      "Delete a program and those that share its maps": "bpfman program delete -r 63178",
      "Delete everything that bpfman loaded": "bpfman program delete --all",
      "Leave nothing behind, as after a test": "bpfman program delete --all --unmount",
    },
  },
  prepare({ programIds, all, recursive, unmount }) {
    if (all && programIds.length > 0) throw usageError("--all and program ids are mutually exclusive");
    if (!all && programIds.length === 0) {
      throw usageError('"bpfman program delete" needs <PROGRAM_ID>... or --all');
    }
    if (unmount && !all) throw usageError("--unmount needs --all");
    if (all) {
      const request = { all, recursive, ...(unmount ? { unmount } : {}) };
      return async (session) => session.print(await session.invoke("program/delete", request), nothing);
    }
    return deletingEach(programIds, "deleted", (session, programId, series) =>
      session.invoke("program/delete", { programId, recursive }, { series }),
    );
  },
}));

export const deleteLinks = defineCommand(() => ({
  description: [
    "Deletes links, and programs that have no other link. With --recursive, programs",
    "that share the maps of such a program are deleted before it.",
  ],
  fields: {
    linkIds: each(LINK_ID, {
      doc: [
        "Links to delete: IDs, or names of programs with one link, separated by spaces.",
        "A failure does not stop the rest.",
      ],
    }),
    recursive: RECURSIVE,
  },
  noun: {
    words: ["linkIds"],
    examples: { "Delete a link, and its program if it has no other link": "bpfman link delete 3" },
  },
  prepare: ({ linkIds, recursive }) =>
    deletingEach(linkIds, "detached", (session, linkId, series) =>
      session.invoke("link/delete", { linkId, recursive }, { series }),
    ),
}));
