import type { Argument, Command } from "../command.ts";
import { parseLinkId } from "../parse/number.ts";
import { forEachId, IGNORE_MISSING } from "./each-id.ts";

const LINK_ID: Argument = {
  name: "link-id",
  many: true,
  doc: [
    "Required: Link Id to be detached.",
    "Several are separated by blanks; each is tried. See `bpfman list links`.",
  ],
  completes: "link-id",
};

export const detach: Command = {
  args: [LINK_ID],
  flags: [IGNORE_MISSING],
  examples: [
    { does: "Detach two links", line: "bpfman detach 3 4" },
    { does: "Clean up, whether it is still there or not", line: "bpfman detach --ignore-missing 3" },
  ],
  prepare(line) {
    const ids = line.words(LINK_ID).map(parseLinkId);
    const ignoreMissing = line.has(IGNORE_MISSING);
    return async (session) => {
      const detached = await forEachId(session, ids, (linkId) =>
        session.invoke("link/detach", { linkId, ignoreMissing }),
      );
      session.print({ detached }, () => "");
    };
  },
};
