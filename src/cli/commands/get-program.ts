import type { Argument, Command } from "../command.ts";
import { parseProgramId } from "../parse/number.ts";
import { renderProgram } from "../render/program.ts";

const PROGRAM_ID: Argument = {
  name: "program-id",
  doc: ["Required: Program Id to get.", "See `bpfman list programs`."],
  completes: "program-id",
};

export const getProgram: Command = {
  args: [PROGRAM_ID],
  flags: [],
  examples: [{ does: "A program with its maps and links", line: "bpfman get program 63178" }],
  prepare(line) {
    const request = { programId: parseProgramId(line.word(PROGRAM_ID)) };
    return async (session) => session.print(await session.invoke("program/get", request), renderProgram);
  },
};
