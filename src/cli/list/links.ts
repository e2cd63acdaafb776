import { PROGRAM_TYPES } from "../../domain/kinds.ts";
import { asking, defineCommand, ifGiven, several, vary } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { oneOf } from "../parse/word.ts";
import { renderLinkList } from "../render/lists.ts";
import { APPLICATION, METADATA_SELECTOR, printList, PROGRAM_TYPE, QUIET } from "./fields.ts";

export const listLinks = defineCommand({
  fields: {
    quiet: QUIET,
    programId: ifGiven(PROGRAM_ID, { doc: ["Show only links of this program."] }),
    kinds: several(
      {
        takes: "commas",
        long: "kind",
        choices: PROGRAM_TYPES,
        anyCase: true,
        doc: ["Show only links of these kinds.", "Example: --kind xdp,kretprobe"],
      },
      oneOf("link kind", PROGRAM_TYPES),
    ),
    application: vary(APPLICATION, {
      doc: ["Show only links of this application.", "Example: --application go-app"],
    }),
    programType: vary(PROGRAM_TYPE, {
      doc: [
        "Show only links of programs of this type.",
        "Example: --program-type xdp",
        "",
        "[possible values: probe, tc, tracing, tracepoint, xdp]",
        "",
        "bpfman's own types are accepted too: tcx, kprobe, kretprobe, uprobe,",
        "uretprobe, fentry, fexit.",
      ],
    }),
    metadataSelector: METADATA_SELECTOR,
  },
  classic: {
    options: ["application", "programType", "metadataSelector"],
    examples: {
      "List the links of one application": "bpfman list links --application go-app",
      "List the links of XDP programs, for scripts": "bpfman list links --program-type xdp -o json",
    },
  },
  noun: {
    options: ["quiet", "programId", "kinds", "programType", "application", "metadataSelector"],
    examples: {
      "List the links of one program": "bpfman link list --program-id 63178",
      "List the IDs of XDP links, for scripts": "bpfman link list -q --kind xdp",
    },
  },
  prepare({ quiet, programId, kinds, programType, ...filters }, noun) {
    if (!noun) return asking("link/list", { ...filters, programType: programType[0] ?? null }, renderLinkList);
    const request = { ...filters, programId, programType, exactTypes: true, ...(kinds.length === 0 ? {} : { kinds }) };
    return async (session) => {
      const answer = await session.invoke("link/list", request);
      printList(session, answer, { quiet, ids: answer.links.map((link) => link.id), text: renderLinkList });
    };
  },
});
