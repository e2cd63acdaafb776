import * as v from "valibot";
import { DOCUMENT_BYTES_MAX, DOCUMENT_FILES_MAX } from "../../domain/limits.ts";
import * as fields from "./request-fields.ts";

const path = fields.path();
const text = fields.text();

/** A document: a file or a directory of such, or its text. */
const document = v.pipe(
  v.strictObject({
    /** A directory stands for the files in it whose names end in .yaml, .yml or .json. */
    file: v.optional(path),
    text: v.optional(v.pipe(v.string(), v.maxLength(DOCUMENT_BYTES_MAX))),
    /** What the text is called in errors, and by a later apply that prunes. */
    name: v.optional(v.pipe(text, v.minLength(1)), "stdin"),
    /** To which the paths in the text are relative; null for the current one. */
    directory: v.optional(v.nullable(path), null),
  }),
  v.check((given) => (given.file === undefined) !== (given.text === undefined), "either a file or a text is needed"),
  v.transform(({ file = "", text: written, name, directory }) =>
    written === undefined ? { file } : { text: written, name, directory },
  ),
);

export const applyRequest = v.strictObject({
  documents: v.pipe(v.array(document), v.minLength(1), v.maxLength(DOCUMENT_FILES_MAX)),
  /** Only find out what would be done. */
  dryRun: v.optional(v.boolean(), false),
  /** Remove what an earlier apply of these files made and none of them names any more. */
  prune: v.optional(v.boolean(), false),
  /** Interfaces that are named and are not there may come later. */
  awaitInterfaces: v.optional(v.boolean(), false),
});
export type ApplyRequest = v.InferOutput<typeof applyRequest>;

export const exportRequest = v.strictObject({
  /** Only the programs of that application; null for all. */
  application: v.optional(v.nullable(v.pipe(text, v.minLength(1))), null),
  /** A directory, new or empty, that the document and its objects are written to. */
  bundle: v.optional(v.nullable(path), null),
});
export type ExportRequest = v.InferOutput<typeof exportRequest>;
