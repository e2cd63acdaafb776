import { BpfmanError } from "../../errors/error.ts";
import { defineCommand, optional, several, toggle } from "../command.ts";
import { ALL } from "../fields.ts";
import { renderProgramList } from "../render/lists.ts";
import {
  APPLICATION,
  FILTER_WORDS,
  METADATA_SELECTOR,
  parseFilterWord,
  printList,
  PROGRAM_TYPE,
  QUIET,
} from "./fields.ts";

export const listPrograms = defineCommand({
  fields: {
    quiet: QUIET,
    attached: toggle({ long: "attached", doc: ["Show only programs that have links."] }),
    unattached: toggle({ long: "unattached", doc: ["Show only programs without links."] }),
    type: several(
      {
        takes: "commas",
        long: "type",
        choices: FILTER_WORDS,
        anyCase: true,
        doc: ["Another name for --program-type.", "Example: --type xdp,kprobe"],
      },
      parseFilterWord,
    ),
    programType: PROGRAM_TYPE,
    application: APPLICATION,
    metadataSelector: METADATA_SELECTOR,
    selector: optional({
      long: "selector",
      short: "l",
      doc: [
        "Show only programs whose metadata matches all of these terms.",
        "Terms are separated by commas: key=value, key!=value, key in (a,b),",
        "key notin (a,b), key, !key, key>1, key<1.",
        "Example: --selector 'app=web,tier!=1'",
      ],
    }),
    all: ALL,
  },
  classic: {
    options: ["programType", "application", "metadataSelector", "all"],
    examples: {
      "List the programs of one application": "bpfman list programs --application go-app",
      "List every program in the kernel, whoever loaded it": "bpfman list programs --all",
    },
  },
  noun: {
    examples: {
      "List attached programs of two types": "bpfman program list --type xdp,tc --attached",
      "List the IDs of an application's programs, for scripts": "bpfman program list -q --application go-app",
      "Filter by metadata": "bpfman program list -l app=web,tier!=1",
    },
  },
  prepare({ quiet, attached, unattached, type, programType, selector, ...filters }, noun) {
    if (attached && unattached) {
      throw new BpfmanError("USAGE", "--attached and --unattached are mutually exclusive");
    }
    const request = noun
      ? {
          ...filters,
          programType: [...type, ...programType],
          exactTypes: true,
          selector,
          attached: attached || unattached ? attached : null,
        }
      : { ...filters, programType: programType[0] ?? null };
    return async (session) => {
      const view = session.output === "json" && !quiet ? "full" : "summary";
      const answer = await session.invoke("program/list", { ...request, view });
      const ids = answer.programs.map((program) => program.program_id);
      if (noun) printList(session, answer, { quiet, ids, text: renderProgramList });
      else session.print(answer, renderProgramList);
    };
  },
});
