import { defineCommand, each, optional, required, several, vary } from "../command.ts";
import { GLOBALS } from "../globals.ts";
import { GLOBAL, PROGRAMS, SET } from "../load/load.ts";
import { parseSelector } from "../parse/pairs.ts";
import { oneOf, parsePercent } from "../parse/word.ts";
import { renderCheck } from "../render/check.ts";

/** When something is refused, or costs more than in the baseline. */
const EXIT_WORSE = 10;

const FORMATS = ["text", "json", "github", "sarif"] as const;

export const OBJECT = required({
  long: "file",
  completes: "object",
  doc: ["Object file, or name of an image with its tag or digest.", "Example: counter.o"],
});

export const check = defineCommand(() => ({
  description: [
    "Check whether the verifier of this kernel accepts programs, and at what cost.",
    "",
    "Each program is loaded as the type that its section names, and",
    "removed at once. C sources are compiled with clang, with the harmless flags",
    "that a compile_commands.json above them has for them.",
    "",
    `The exit code is 0 if all programs are accepted, and ${EXIT_WORSE} if one is refused`,
    "or costs more than in --baseline, beyond --tolerance.",
  ],
  fields: {
    files: each(OBJECT, {
      doc: ["Object files, or C sources in files whose names end in .c.", "Example: counter.o filter.bpf.c"],
    }),
    programs: {
      of: PROGRAMS,
      ...several(
        {
          takes: "list",
          long: "programs",
          completes: "object-program",
          metavar: "NAME",
          doc: [
            "Optional: Programs to check; all by default.",
            "Format: <NAME>, or <TYPE>:<NAME> if its section names no type",
            "Format with a function that the section does not name: <TYPE>:<NAME>:<FUNCTION>,",
            "or freplace:<NAME>:<PROGRAM>/<FUNCTION> with the name of a loaded program",
            "Example: --programs count_packets fentry:trace:do_unlinkat",
          ],
        },
        parseSelector,
      ),
    },
    set: SET,
    global: vary(GLOBAL, {
      doc: [
        "Optional: Global variables to set before the programs are checked.",
        "Separate several variables with spaces.",
        "Format: <NAME>=<HEX>",
        "Example: -g LIMIT=0A000000",
      ],
    }),
    baseline: optional({
      long: "baseline",
      metavar: "FILE",
      completes: "file",
      doc: ["Optional: Compare with these costs, which --save wrote earlier."],
    }),
    save: optional({
      long: "save",
      metavar: "FILE",
      completes: "file",
      doc: ["Optional: Write the costs to this file, as JSON."],
    }),
    tolerance: optional(
      {
        long: "tolerance",
        metavar: "PERCENT",
        default: "10%",
        doc: ["How many more instructions than in the baseline are accepted."],
      },
      parsePercent,
    ),
    output: {
      of: GLOBALS.output,
      ...optional(
        {
          long: "output",
          short: "o",
          metavar: "FORMAT",
          choices: FORMATS,
          default: "text",
          doc: [
            "Output format: text, json, github or sarif.",
            "github prints workflow commands, which GitHub shows beside the lines;",
            "sarif is SARIF 2.1.0, which code scanning services read.",
          ],
        },
        oneOf("output format", FORMATS),
      ),
    },
  },
  classic: {
    words: ["files"],
    examples: {
      "Check all programs of an object": "bpfman check counter.o",
      "Check a C source, and keep what it costs": "bpfman check counter.bpf.c --save costs.json",
      "Fail if a program is refused, or costs over 5 % more":
        "bpfman check counter.o --baseline costs.json --tolerance 5%",
      "Mark refused lines in a pull request": "bpfman check counter.bpf.c -o github",
    },
  },
  prepare: ({ files, programs, global: globalData, set: globals, baseline, save, tolerance, output }) => {
    const given = { files, programs, globalData, globals, baseline, save };
    const request = tolerance === null ? given : { ...given, tolerancePercent: tolerance };
    return async (session) => {
      const answer = await session.invoke("object/check", request);
      if (output === "github") session.write((await import("../render/check-github.ts")).renderGithub(answer));
      else if (output === "sarif") session.write((await import("../render/check-sarif.ts")).renderSarif(answer));
      else session.print(answer, renderCheck);
      if (!answer.passed) session.endWith(EXIT_WORSE);
    };
  },
}));
