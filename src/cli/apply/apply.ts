/** Desired state: applying documents, and writing the one that names what is there. */
import { printable } from "../../domain/printable.ts";
import { DRY_RUN } from "../fields.ts";
import { APPLICATION } from "../labels.ts";
import { defineCommand, ifGiven, optional, several, type Session, toggle } from "../command.ts";
import { renderApply } from "../render/apply.ts";

const FILES = several({
  takes: "list",
  long: "files",
  required: true,
  completes: "file",
  doc: [
    "Documents in YAML or JSON (docs/desired-state.md).",
    "A directory stands for all its files in .yaml, .yml and .json, by name; - for stdin.",
  ],
});

const documentsOf = (files: readonly string[], session: Session): Promise<object[]> =>
  Promise.all([...new Set(files)].map(async (file) => (file === "-" ? { text: await session.input() } : { file })));

export const apply = defineCommand(() => ({
  description: [
    "Makes this host match the documents: loads and attaches what is missing, changes",
    "what is different, and leaves the rest as it is. Applying the same documents again",
    "changes nothing. Each application is applied completely or not at all.",
    "",
    "The changes are printed: + for what is added, ~ for what is changed, - for what is",
    "removed, = for what stays as it is. Links that an earlier apply made, and that the",
    "document of their program no longer names, are detached; programs that no document",
    "names stay, unless --prune is given.",
  ],
  fields: {
    files: FILES,
    dryRun: DRY_RUN,
    prune: toggle({
      long: "prune",
      doc: [
        "Also unload programs that an earlier apply of the same files or directories",
        "loaded, and that none of them names any more.",
      ],
    }),
    follow: toggle({
      long: "follow",
      doc: [
        "Keep running: attach to interfaces that appear later, and drop links to those that",
        "have gone. The documents are read again each time. Ends with exit code 0 on Ctrl-C,",
        "SIGTERM, or when whatever reads its output has ended. What it attached stays.",
      ],
    }),
  },
  classic: {
    words: ["files"],
    examples: {
      "See what would change": "bpfman apply counter.yaml --dry-run",
      "Change it": "bpfman apply counter.yaml",
      "Apply all documents in a directory, and unload what they no longer name":
        "bpfman apply /etc/bpfman/apply.d --prune",
      "Attach to interfaces as they appear": "bpfman apply veth.yaml --follow",
    },
  },
  prepare:
    ({ files, follow, ...how }) =>
    async (session) => {
      const request = { ...how, documents: await documentsOf(files, session), awaitInterfaces: follow };
      const answer = await session.invoke("apply", request);
      if (follow && !how.dryRun) await (await import("./follow.ts")).followApply(session, request, answer);
      else session.print(answer, renderApply);
    },
}));

export const exportState = defineCommand(() => ({
  description: [
    "Prints a document that describes what is loaded and attached, as YAML; with -o json,",
    "as JSON. `bpfman apply` of that document brings all of it back on this host.",
    "",
    "A document names object files by their paths on this host. With --bundle, the document",
    "and the object files are written into a directory, which can be applied elsewhere.",
  ],
  fields: {
    application: ifGiven(APPLICATION, {
      doc: ["Only the programs of that application.", "Example: --application counter"],
    }),
    bundle: optional({
      long: "bundle",
      completes: "directory",
      metavar: "DIR",
      doc: ["Write the document and the object files into this directory, new or empty."],
    }),
  },
  classic: {
    examples: {
      "Print what is loaded and attached": "bpfman export",
      "Take an application to another host": "bpfman export --application counter --bundle counter/",
    },
  },
  prepare: (request) => async (session) => {
    const answer = await session.invoke("export", request);
    if (request.bundle !== null)
      session.print({ files: answer.files }, () => answer.files.map((each) => `${printable(each)}\n`).join(""));
    else if (session.output === "json") session.print(answer.document, () => "");
    else session.write(answer.yaml);
  },
}));
