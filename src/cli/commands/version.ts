import type { Command } from "../command.ts";
import { renderVersion } from "../render/version.ts";

export const version: Command = {
  args: [],
  flags: [],
  examples: [{ does: "The same for scripts, and what the kernel can do", line: "bpfman version -o json" }],
  prepare: () => async (session) => {
    const request = { features: session.output === "json" };
    session.print(await session.invoke("version", request), renderVersion);
  },
};
