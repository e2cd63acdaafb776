import { BpfmanError } from "../../errors/error.ts";
import type { Argument, Command, Flag } from "../command.ts";
import { IFINDEX, NSID, parseDispatcherType, TYPE } from "../commands/dispatcher-flags.ts";
import { forEachId } from "../commands/each-id.ts";
import { parseIfindex, parseLinkId, parseNsid, parseProgramId } from "../parse-number.ts";

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
    "Deletes programs: their links are detached first. A program whose maps are used by",
    "others goes with --recursive only, behind those others.",
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
      const answers = await forEachId(session, ids, (programId) =>
        session.invoke("program/delete", { programId, recursive }),
      );
      session.print(together(answers), nothing);
    };
  },
};

export const deleteLinks: Command = {
  description: [
    "Deletes links, and the programs that have no other link. A program whose maps are used",
    "by others goes with --recursive only, behind those others.",
  ],
  args: [LINK_ID],
  flags: [RECURSIVE],
  examples: [{ does: "A link, and its program if that is attached nowhere else", line: "bpfman link delete 3" }],
  prepare(line) {
    const ids = line.words(LINK_ID).map(parseLinkId);
    const recursive = line.has(RECURSIVE);
    return async (session) => {
      const answers = await forEachId(session, ids, (linkId) => session.invoke("link/delete", { linkId, recursive }));
      session.print(together(answers), nothing);
    };
  },
};

interface Deleted {
  readonly deleted: readonly number[];
  readonly detached: readonly number[];
}
const together = (answers: readonly Deleted[]): Deleted => ({
  deleted: answers.flatMap((answer) => answer.deleted),
  detached: answers.flatMap((answer) => answer.detached),
});

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
