import { asking, defineCommand, each, ifGiven, optional, usageError, vary } from "../command.ts";
import { PROGRAM_ID, QUIET } from "../fields.ts";
import { IMAGE_URL, imageRequest, PULL_POLICY, REGISTRY_AUTH } from "../image/fields.ts";
import { oneOf } from "../parse/word.ts";
import { renderReplaced } from "../render/program.ts";
import { GLOBAL, MAP_ENTRIES, PATH, SET } from "./load.ts";

const MAPS = ["keep", "new"] as const;

export const replaceProgram = defineCommand(() => ({
  description: [
    "Replaces loaded programs with those of the same names in a new object file or",
    "image. Their links stay, with their IDs, priorities and metadata, and so do their",
    "maps, with what they hold. XDP, TC, TCX, cgroup, sk_lookup and iterator programs",
    "are swapped without a gap; of others, the old and the new one both run for a",
    "moment, and the answer lists their links. All of them are replaced, or none.",
  ],
  fields: {
    programIds: each(PROGRAM_ID, {
      doc: [
        "Programs to replace: IDs, names, or APPLICATION/NAME, separated by spaces.",
        "See `bpfman list programs`.",
      ],
    }),
    path: ifGiven(PATH, { doc: ["Object file that contains the new programs."], noun: {} }),
    url: ifGiven(IMAGE_URL, {
      doc: ["Image that contains the new programs, in place of an object file."],
      noun: {},
    }),
    set: SET,
    global: GLOBAL,
    maps: optional(
      {
        long: "maps",
        choices: MAPS,
        anyCase: true,
        default: "keep",
        doc: [
          "keep: maps that both have under one name stay, with what they hold; if their",
          "definitions differ, nothing is replaced. new: the new programs get maps of their own.",
          "",
          `[possible values: ${MAPS.join(", ")}]`,
        ],
      },
      oneOf("maps", MAPS),
    ),
    mapEntries: MAP_ENTRIES,
    pullPolicy: vary(PULL_POLICY, { short: undefined }),
    registryAuth: REGISTRY_AUTH,
    quiet: QUIET,
  },
  noun: {
    words: ["programIds"],
    examples: {
      "Replace a program with a newer build of it": "bpfman program replace 63178 --path counter.o",
      "Replace two programs at once, and change a global variable":
        "bpfman program replace 63178 63179 --path counter.o --set LIMIT=20",
      "Replace it with the program of an image, with new maps":
        "bpfman program replace xdp_stats --image-url quay.io/bpfman-bytecode/xdp_stats:v2 --maps new",
    },
  },
  prepare({ programIds, path, url, global: globalData, set: globals, maps, mapEntries, quiet, ...pull }) {
    if ((path === null) === (url === null)) {
      throw usageError(
        path === null
          ? "nothing to replace the program with: give --path or --image-url"
          : "give --path or --image-url, not both",
      );
    }
    const source = url === null ? { file: path } : { image: imageRequest({ url, ...pull }) };
    const request = { programIds, source, globalData, globals, mapEntries, ...(maps === null ? {} : { maps }) };
    return asking(
      "program/replace",
      request,
      renderReplaced,
      quiet ? ({ replaced }) => replaced.flatMap(({ program }) => program.record?.program_id ?? []) : null,
    );
  },
}));
