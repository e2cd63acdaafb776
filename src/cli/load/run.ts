import type { RunAnswer } from "../../domain/answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import { ANY_TARGET, targetOf } from "../attach/any-target.ts";
import { defineCommand, ifGiven, vary, type Values } from "../command.ts";
import { IMAGE_URL, imageRequest, PULL_POLICY, REGISTRY_AUTH } from "../image/fields.ts";
import { METADATA } from "../labels.ts";
import { parseSelector } from "../parse/pairs.ts";
import { renderLink } from "../render/link.ts";
import { LOADED, loadRequest, PATH, PROGRAMS } from "./load.ts";

const FIELDS = {
  path: vary(PATH, {
    long: "object",
    short: undefined,
    doc: ["Object file that contains the programs. With --image-url, there is none."],
  }),
  programs: vary(PROGRAMS, {
    required: false,
    doc: [
      "Programs to load and attach, by the names of their functions.",
      "Format: <NAME>, <TYPE>:<NAME> or <TYPE>:<NAME>:<FUNCTION>",
      "",
      ...PROGRAMS.doc.slice(PROGRAMS.doc.indexOf("") + 1).filter((line) => !line.startsWith("Example")),
    ],
  }),
  ...ANY_TARGET,
  ...LOADED,
  metadata: vary(METADATA, {
    doc: ["Metadata to store with the programs and their links.", ...METADATA.doc.slice(1)],
  }),
  quiet: vary(LOADED.quiet, {
    doc: ["Print only IDs: of each program and its link, on a line. With -o json, as a list of pairs."],
  }),
  url: ifGiven(IMAGE_URL, {
    short: undefined,
    doc: ["Take the programs from this image, in place of an object file.", ...IMAGE_URL.doc.slice(1)],
  }),
  registryAuth: REGISTRY_AUTH,
  pullPolicy: vary(PULL_POLICY, { short: undefined }),
};

/** The first word is the object file; of an image, it is a program. */
function sourceOf({ path, programs, url, registryAuth, pullPolicy }: Values<typeof FIELDS>) {
  if (url !== null) {
    const image = imageRequest({ url, registryAuth, pullPolicy });
    return { source: { image }, programs: [parseSelector(path), ...programs] };
  }
  if (programs.length > 0) return { source: { file: path }, programs };
  // What the object holds is the hint (run.ts).
  throw new BpfmanError(
    "INVALID_PROGRAM",
    '"bpfman run" needs the programs of the object to run: <TYPE>:<NAME> or <NAME>',
  );
}

/** Of each program its ID and that of its link. */
const idsOf = ({ programs, links }: RunAnswer): [number, number][] =>
  links.map(({ record }, index) => [programs[index]?.record?.program_id ?? 0, record.id]);

export const run = defineCommand(() => ({
  description: [
    "Loads programs of an object file or an image and attaches each of them to a hook:",
    "all of them, or none. The options of the hook are those of `bpfman attach`; what a",
    'section says, as SEC("tracepoint/sched/sched_switch") does, need not be given.',
    "Several programs share the options: each takes those that its kind has.",
  ],
  fields: FIELDS,
  classic: {
    words: ["path", "programs"],
    examples: {
      "Run a program on every packet that eth0 receives": "bpfman run counter.o xdp:count --iface eth0 --priority 50",
      "Run a program at the tracepoint that its section names": "bpfman run counter.o on_open",
      "Run a program of an image":
        "bpfman run --image-url quay.io/bpfman-bytecode/xdp_pass:latest xdp:pass -i eth0 -p 50",
      "Print only the IDs of program and link, for scripts": "bpfman run -q counter.o on_open",
    },
  },
  prepare(values) {
    const { source, programs } = sourceOf(values);
    const request = { ...loadRequest(source, { ...values, programs }, false), attach: targetOf(values) };
    return async (session) => {
      const answer = await session.invoke("program/run", request);
      if (values.quiet) session.print(idsOf(answer), (ids) => ids.map((pair) => `${pair.join(" ")}\n`).join(""));
      else session.print(answer, ({ links }, look) => links.map((link) => renderLink(link, look)).join("\n"));
    };
  },
}));
