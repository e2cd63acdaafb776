import type { Argument, Command } from "../command.ts";
import { parseProgramId } from "../parse/number.ts";
import { forEachId, IGNORE_MISSING } from "./each-id.ts";

const PROGRAM_ID: Argument = {
  name: "program-id",
  many: true,
  doc: [
    "Required: Program Id to be unloaded.",
    "Several are separated by blanks; each is tried. See `bpfman list programs`.",
  ],
  completes: "program-id",
};

export const unload: Command = {
  description: ["Unload an eBPF program using the Program Id.", "", "Its links are detached first."],
  args: [PROGRAM_ID],
  flags: [IGNORE_MISSING],
  examples: [
    { does: "Unload two programs", line: "bpfman unload 63178 63179" },
    { does: "Clean up, whether it is still there or not", line: "bpfman unload --ignore-missing 63178" },
  ],
  prepare(line) {
    const ids = line.words(PROGRAM_ID).map(parseProgramId);
    const ignoreMissing = line.has(IGNORE_MISSING);
    return async (session) => {
      const unloaded = await forEachId(session, ids, (programId) =>
        session.invoke("program/unload", { programId, ignoreMissing }),
      );
      session.print({ unloaded }, () => "");
    };
  },
};
