/** Commands that do the same in both grammars: only their examples differ. */
import type { Command } from "../command.ts";
import { detach as classicDetach } from "../commands/detach.ts";
import { getLink as classicGetLink } from "../commands/get-link.ts";
import { getProgram as classicGetProgram } from "../commands/get-program.ts";
import { unload as classicUnload } from "../commands/unload.ts";

export const unload: Command = {
  ...classicUnload,
  examples: [
    { does: "Unload two programs", line: "bpfman program unload 63178 63179" },
    { does: "Clean up, whether it is still there or not", line: "bpfman program unload --ignore-missing 63178" },
  ],
};

export const getProgram: Command = {
  ...classicGetProgram,
  examples: [{ does: "Everything that is known about a program, as JSON", line: "bpfman program get 63178 -o json" }],
};

export const detach: Command = {
  ...classicDetach,
  examples: [
    { does: "Detach two links", line: "bpfman link detach 3 4" },
    { does: "Clean up, whether it is still there or not", line: "bpfman link detach --ignore-missing 3" },
  ],
};

export const getLink: Command = {
  ...classicGetLink,
  examples: [{ does: "Where a link is attached, as JSON", line: "bpfman link get 3 -o json" }],
};
