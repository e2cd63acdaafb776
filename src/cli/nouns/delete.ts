import type { DeleteAnswer } from "../../domain/answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Argument, Command, Flag, Session } from "../command.ts";
import { IFINDEX, NSID, parseDispatcherType, TYPE } from "../commands/dispatcher-flags.ts";
import { forEachId } from "../commands/each-id.ts";
import { parseIfindex, parseLinkId, parseNsid, parseProgramId } from "../parse/number.ts";

const PROGRAM_ID: Argument = {
  name: "program-id",
  many: true,
  optional: true,
  doc: ["Programs to be deleted, separated by blanks; each is tried."],
  completes: "program-id",
};
const LINK_ID: Argument = {
  name: "link-id",
  many: true,
  doc: ["Required: Links to be deleted, separated by blanks; each is tried."],
  completes: "link-id",
};
const ALL: Flag = { long: "all", takes: "nothing", doc: ["Delete every program that bpfman loaded."] };
const RECURSIVE: Flag = {
  long: "recursive",
  short: "r",
  takes: "nothing",
  doc: ["Optional: Also delete the programs that use the maps of one that goes."],
};

const nothing = (): string => "";

export const deletePrograms: Command = {
  description: [
    "Deletes programs: their links are detached first. Maps that other programs use stay",
    "until the last of these goes; with --recursive those programs go first.",
  ],
  args: [PROGRAM_ID],
  flags: [ALL, RECURSIVE],
  examples: [
    { does: "A program, and those that use its maps", line: "bpfman program delete -r 63178" },
    { does: "Everything that bpfman loaded", line: "bpfman program delete --all" },
  ],
  prepare(line) {
    const ids = line.words(PROGRAM_ID).map(parseProgramId);
    const all = line.has(ALL);
    const recursive = line.has(RECURSIVE);
    if (all && ids.length > 0) throw new BpfmanError("USAGE", "--all and program ids are mutually exclusive");
    if (!all && ids.length === 0) {
      throw new BpfmanError("USAGE", '"bpfman program delete" needs <PROGRAM_ID>... or --all');
    }
    return async (session) => {
      if (all) return session.print(await session.invoke("program/delete", { all, recursive }), nothing);
      await deleteEach(session, ids, {
        run: (programId) => session.invoke("program/delete", { programId, recursive }),
        goneOf: ({ deleted }) => deleted,
      });
    };
  },
};

export const deleteLinks: Command = {
  description: [
    "Deletes links, and the programs that have no other link. With --recursive the programs",
    "that use the maps of one that goes are deleted before it.",
  ],
  args: [LINK_ID],
  flags: [RECURSIVE],
  examples: [{ does: "A link, and its program if that is attached nowhere else", line: "bpfman link delete 3" }],
  prepare(line) {
    const ids = line.words(LINK_ID).map(parseLinkId);
    const recursive = line.has(RECURSIVE);
    return async (session) => {
      await deleteEach(session, ids, {
        run: (linkId) => session.invoke("link/delete", { linkId, recursive }),
        goneOf: ({ detached }) => detached,
      });
    };
  },
};

interface Deletion {
  run(id: number): Promise<DeleteAnswer>;
  /** What an answer says has gone, of the kind that ids are given for. */
  goneOf(answer: DeleteAnswer): readonly number[];
}

/** Deletes one after the other. What went along with one before it is not asked for again. */
async function deleteEach(session: Session, ids: readonly number[], { run, goneOf }: Deletion): Promise<void> {
  const answers: DeleteAnswer[] = [];
  await forEachId(session, ids, async (id) => {
    if (!answers.flatMap(goneOf).includes(id)) answers.push(await run(id));
  });
  const deleted = answers.flatMap((answer) => answer.deleted);
  session.print({ deleted, detached: answers.flatMap((answer) => answer.detached) }, nothing);
}

export const deleteDispatcher: Command = {
  description: ["Detaches every member of a hook's chain at one stroke. Its programs stay loaded."],
  args: [TYPE, NSID, IFINDEX],
  flags: [],
  examples: [{ does: "Clear the XDP hook of an interface", line: "bpfman dispatcher delete xdp 4026531840 2" }],
  prepare(line) {
    const request = {
      type: parseDispatcherType(line.word(TYPE)),
      nsid: parseNsid(line.word(NSID)),
      ifindex: parseIfindex(line.word(IFINDEX)),
    };
    return async (session) => session.print(await session.invoke("dispatcher/delete", request), nothing);
  },
};
