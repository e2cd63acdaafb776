import type { Command } from "../command.ts";
import { renderVersion } from "../render-version.ts";

export const version: Command = {
  args: [],
  flags: [],
  examples: [{ does: "The same for scripts", line: "bpfman version -o json" }],
  prepare: () => async (session) => session.print(await session.invoke("version", {}), renderVersion),
};
