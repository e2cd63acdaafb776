import type { Argument, Command } from "../command.ts";
import { parseLinkId } from "../parse/number.ts";
import { renderLink } from "../render/link.ts";

const LINK_ID: Argument = {
  name: "link-id",
  doc: ["Required: Link Id to get.", "See `bpfman list links`."],
  completes: "link-id",
};

export const getLink: Command = {
  args: [LINK_ID],
  flags: [],
  examples: [{ does: "Where a link is attached", line: "bpfman get link 3" }],
  prepare(line) {
    const request = { linkId: parseLinkId(line.word(LINK_ID)) };
    return async (session) => session.print(await session.invoke("link/get", request), renderLink);
  },
};
