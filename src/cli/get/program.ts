import { asking, defineCommand, vary } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { renderProgram } from "../render/program.ts";

export const getProgram = defineCommand(() => ({
  fields: {
    programId: vary(PROGRAM_ID, {
      doc: ["Program to show: its ID, its name, or APPLICATION/NAME.", "See `bpfman list programs`."],
    }),
  },
  classic: {
    words: ["programId"],
    examples: {
      "Show a program with its maps and links": "bpfman get program 63178",
      "Show the program of that name of an application": "bpfman get program go-app/xdp_stats",
    },
  },
  noun: {
    words: ["programId"],
    examples: { "Show everything known about a program, as JSON": "bpfman program get 63178 -o json" },
  },
  prepare: (request) => asking("program/get", request, renderProgram),
}));
