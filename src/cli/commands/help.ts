import type { Argument, Command } from "../command.ts";

const TOPIC: Argument = {
  name: "command",
  many: true,
  optional: true,
  doc: ["The command to describe, word by word."],
  completes: "command",
};

export const help: Command = {
  args: [TOPIC],
  flags: [],
  examples: [{ does: "Everything about one command", line: "bpfman help attach tcx" }],
  prepare: (line) => async (session) => session.help(line.words(TOPIC)),
};
