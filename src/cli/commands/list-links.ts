import type { Command, Flag } from "../command.ts";
import { parseMetadata } from "../parse/metadata.ts";
import { parseProgramType, PROGRAM_TYPE_FILTER_WORDS } from "../parse/program-type.ts";
import { renderLinkList } from "../render/lists.ts";

const APPLICATION: Flag = {
  long: "application",
  takes: "one",
  doc: ["Optional: List links attached under the same application tag.", "Example: --application go-app"],
};
const PROGRAM_TYPE: Flag = {
  long: "program-type",
  short: "p",
  takes: "one",
  choices: PROGRAM_TYPE_FILTER_WORDS,
  doc: [
    "Optional: List links with a specific program type",
    "Example: --program-type xdp",
    "",
    "[possible values: probe, tc, tracing, tracepoint, xdp]",
    "",
    "bpfman's own types work as well: tcx, kprobe, kretprobe, uprobe,",
    "uretprobe, fentry, fexit.",
  ],
};
const METADATA_SELECTOR: Flag = {
  long: "metadata-selector",
  short: "m",
  takes: "commas",
  doc: [
    "Optional: List programs which contain a specific set of metadata labels",
    "that were applied when the program was loaded with `--metadata` parameter.",
    "Format: <KEY>=<VALUE>",
    "Example: --metadata-selector owner=acme",
  ],
};

export const listLinks: Command = {
  args: [],
  flags: [APPLICATION, PROGRAM_TYPE, METADATA_SELECTOR],
  examples: [
    { does: "Links of one application", line: "bpfman list links --application go-app" },
    { does: "Links of XDP programs, for scripts", line: "bpfman list links --program-type xdp -o json" },
  ],
  prepare(line) {
    const request = {
      programType: parseProgramType(line.value(PROGRAM_TYPE)),
      application: line.value(APPLICATION),
      metadataSelector: parseMetadata(line.values(METADATA_SELECTOR)),
    };
    return async (session) => session.print(await session.invoke("link/list", request), renderLinkList);
  },
};
