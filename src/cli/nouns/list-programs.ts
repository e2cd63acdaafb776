import { BpfmanError } from "../../errors/error.ts";
import type { Command, Flag } from "../command.ts";
import { PROGRAM_TYPE_FILTER_WORDS } from "../parse/program-type.ts";
import { renderProgramList } from "../render/lists.ts";
import { APPLICATION, METADATA_SELECTOR, printList, PROGRAM_TYPE, QUIET, readTypes } from "./list-flags.ts";
import { parseNounMetadata } from "./parse-metadata.ts";

const ATTACHED: Flag = { long: "attached", takes: "nothing", doc: ["Optional: Only programs that have links."] };
const UNATTACHED: Flag = { long: "unattached", takes: "nothing", doc: ["Optional: Only programs without links."] };
const TYPE: Flag = {
  long: "type",
  takes: "commas",
  choices: PROGRAM_TYPE_FILTER_WORDS,
  doc: ["Optional: The same as --program-type.", "Example: --type xdp,kprobe"],
};
const SELECTOR: Flag = {
  long: "selector",
  short: "l",
  takes: "one",
  doc: [
    "Optional: Only programs whose metadata this holds for.",
    "Terms are key=value, key!=value, key in (a,b), key notin (a,b), key, !key,",
    "key>1, key<1, separated by commas; all must hold.",
    "Example: --selector 'app=web,tier!=1'",
  ],
};
const ALL: Flag = {
  long: "all",
  short: "a",
  takes: "nothing",
  doc: ["Optional: Also programs that bpfman did not load."],
};

export const listPrograms: Command = {
  args: [],
  flags: [QUIET, ATTACHED, UNATTACHED, TYPE, PROGRAM_TYPE, APPLICATION, METADATA_SELECTOR, SELECTOR, ALL],
  examples: [
    { does: "Programs of two types that are attached somewhere", line: "bpfman program list --type xdp,tc --attached" },
    { does: "Ids of the programs of an application, for scripts", line: "bpfman program list -q --application go-app" },
    { does: "By metadata", line: "bpfman program list -l app=web,tier!=1" },
  ],
  prepare(line) {
    if (line.has(ATTACHED) && line.has(UNATTACHED)) {
      throw new BpfmanError("USAGE", "--attached and --unattached are mutually exclusive");
    }
    const quiet = line.has(QUIET);
    const request = {
      programType: readTypes(line, TYPE, PROGRAM_TYPE),
      exactTypes: true,
      application: line.value(APPLICATION),
      metadataSelector: parseNounMetadata(line.values(METADATA_SELECTOR)),
      selector: line.value(SELECTOR),
      attached: line.has(ATTACHED) || line.has(UNATTACHED) ? line.has(ATTACHED) : null,
      all: line.has(ALL),
    };
    return async (session) => {
      const view = session.output === "json" && !quiet ? "full" : "summary";
      const answer = await session.invoke("program/list", { ...request, view });
      const ids = answer.programs.map((program) => program.program_id);
      printList(session, answer, { quiet, ids, text: renderProgramList });
    };
  },
};
