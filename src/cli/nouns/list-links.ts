import { PROGRAM_TYPES } from "../../domain/program.ts";
import type { Command, Flag } from "../command.ts";
import { parseProgramId } from "../parse/number.ts";
import { parseAnyCase } from "../parse/word.ts";
import { renderLinkList } from "../render/lists.ts";
import { APPLICATION, METADATA_SELECTOR, printList, PROGRAM_TYPE, QUIET, readTypes } from "./list-flags.ts";
import { parseNounMetadata } from "./parse-metadata.ts";

const PROGRAM_ID: Flag = {
  long: "program-id",
  takes: "one",
  completes: "program-id",
  doc: ["Optional: Only links of this program."],
};
const KIND: Flag = {
  long: "kind",
  takes: "commas",
  choices: PROGRAM_TYPES,
  doc: ["Optional: Only links of these kinds.", "Example: --kind xdp,kretprobe"],
};

export const listLinks: Command = {
  args: [],
  flags: [QUIET, PROGRAM_ID, KIND, PROGRAM_TYPE, APPLICATION, METADATA_SELECTOR],
  examples: [
    { does: "Links of one program", line: "bpfman link list --program-id 63178" },
    { does: "Ids of XDP links, for scripts", line: "bpfman link list -q --kind xdp" },
  ],
  prepare(line) {
    const quiet = line.has(QUIET);
    const program = line.value(PROGRAM_ID);
    const kinds = line
      .values(KIND)
      .map((word) => parseAnyCase(word, { what: "link kind", words: PROGRAM_TYPES, code: "USAGE" }));
    const request = {
      programId: program === null ? null : parseProgramId(program),
      ...(kinds.length === 0 ? {} : { kinds }),
      programType: readTypes(line, PROGRAM_TYPE),
      exactTypes: true,
      application: line.value(APPLICATION),
      metadataSelector: parseNounMetadata(line.values(METADATA_SELECTOR)),
    };
    return async (session) => {
      const answer = await session.invoke("link/list", request);
      printList(session, answer, { quiet, ids: answer.links.map((link) => link.id), text: renderLinkList });
    };
  },
};
