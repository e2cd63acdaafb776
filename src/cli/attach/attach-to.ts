/** What the commands that attach a program to a hook have in common. */
import type { AttachKind } from "../../domain/kinds.ts";
import { asking, defineCommand, type Fields, type TwinExamples, vary } from "../command.ts";
import { PROGRAM_ID, QUIET } from "../fields.ts";
import { METADATA as PROGRAM_METADATA } from "../labels.ts";
import { renderLink } from "../render/link.ts";

const METADATA = vary(PROGRAM_METADATA, {
  doc: ["Metadata to store with the link. Lists can filter by it.", ...PROGRAM_METADATA.doc.slice(1)],
});

interface Hook<F extends Fields> {
  /** Where to attach, under the names of the request, in the order of help. */
  readonly target: F;
  /** Fields that are words in the noun-verb grammar, after the program's ID. */
  readonly words?: readonly (keyof F & string)[];
  /** What follows the kind of hook, and in the noun-verb grammar the program's ID. */
  readonly examples: TwinExamples;
}

/** Defines the command that attaches a program to a kind of hook; what only that one needs is made when it is asked for. */
export function attachTo<F extends Fields>(kind: AttachKind, hook: () => Hook<F>) {
  return defineCommand(() => {
    const { target, words = [], examples } = hook();
    const common = { programId: PROGRAM_ID, metadata: METADATA, quiet: QUIET };
    const fields: Fields & typeof common = { programId: PROGRAM_ID, ...target, metadata: METADATA, quiet: QUIET };
    const line = (start: string, end: string | null) => (end === null ? null : `${start} ${end}`.trimEnd());
    const lines = Object.entries(examples).map(([does, [classic, noun]]) => [
      does,
      [line(`bpfman attach 63178 ${kind}`, classic), line(`bpfman link attach ${kind} 63178`, noun)],
    ]);
    return {
      fields,
      examples: Object.fromEntries(lines),
      classic: { above: ["programId"] },
      noun: { words: ["programId", ...words] },
      prepare: ({ programId, metadata, quiet, ...place }) =>
        asking(
          "link/attach",
          { programId, attach: { kind, ...place }, metadata },
          renderLink,
          quiet ? ({ record }) => [record.id] : null,
        ),
    };
  });
}
