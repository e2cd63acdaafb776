/** Reads documents of a desired state: YAML, of which JSON is a part. Whatever is wrong is told with file, line, column. */
import { safeParse } from "valibot";
import { Composer, type Document, isMap, isScalar, LineCounter, Lexer, type Node, Parser, type Scalar } from "yaml";
import { DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_FILES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { FilesPort } from "../../platform/files.ts";
import { requestProblem } from "../request-problem.ts";
import { type DesiredState, desiredState } from "./document.ts";
import { documentError, type Locate, type Place } from "./place.ts";
import { nameIn, type PlainValue, plainValue } from "./plain-value.ts";

/** A document as a request names it. */
export type Given =
  | { readonly file: string }
  | { readonly text: string; readonly name: string; readonly directory: string | null };

export interface ReadDocument {
  readonly state: DesiredState;
  /** To which its paths are relative. */
  readonly directory: string;
  /** What it came from, as it was given: the absolute path of a file or a directory, or the name of a text. */
  readonly origin: string;
  readonly locate: Locate;
}

const ENDINGS = /\.(ya?ml|json)$/i;

interface Source {
  /** For errors. */
  readonly name: string;
  /** Of its file; null for a text. */
  readonly path: string | null;
  readonly text: string;
  readonly directory: string;
  readonly origin: string;
}

/** Throws FILE_NOT_FOUND, FILE_UNREADABLE, INVALID_DOCUMENT. */
export function readDocuments(files: FilesPort, given: readonly Given[]): ReadDocument[] {
  const sources = given.flatMap((each) => sourcesOf(files, each));
  // A file may be given by itself and with its directory.
  const once = sources.filter(
    ({ path }, at) => path === null || sources.findIndex((each) => each.path === path) === at,
  );
  return once.flatMap(parsed);
}

function sourcesOf(files: FilesPort, given: Given): Source[] {
  if ("text" in given) {
    const { text, name, directory } = given;
    return [{ name, path: null, text, directory: files.absolute(directory ?? "."), origin: name }];
  }
  const origin = files.absolute(given.file);
  if (!files.isDirectory(origin)) return [fileSource(files, given.file, origin)];
  const names = files.listDirectory(origin).filter((name) => ENDINGS.test(name));
  if (names.length === 0 || names.length > DOCUMENT_FILES_MAX) {
    const what = names.length === 0 ? "it has no documents" : `it has more than ${DOCUMENT_FILES_MAX} documents`;
    throw new BpfmanError("FILE_UNREADABLE", `read directory "${given.file}": ${what}`, {
      details: { path: given.file },
      hint: "documents are the files whose names end in .yaml, .yml or .json",
    });
  }
  const prefix = given.file.endsWith("/") ? given.file : `${given.file}/`;
  return names.sort().map((name) => fileSource(files, `${prefix}${name}`, origin));
}

function fileSource(files: FilesPort, name: string, origin: string): Source {
  const path = files.absolute(name);
  const bytes = files.readObject(path, DOCUMENT_BYTES_MAX);
  const directory = path.slice(0, Math.max(1, path.lastIndexOf("/")));
  try {
    return { name, path, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), directory, origin };
  } catch {
    const before = Buffer.from(bytes).toString("utf8").split("\u{fffd}", 1)[0] ?? "";
    const line = before.split("\n").length;
    const place = { file: name, line, column: before.length - before.lastIndexOf("\n") };
    throw documentError(place, "the file is not written in UTF-8");
  }
}

/** The documents in a text; those that say nothing are left out. */
function parsed({ name, text, directory, origin }: Source): ReadDocument[] {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file: name, line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (text.length > DOCUMENT_BYTES_MAX) {
    throw documentError({ file: name, line: 1, column: 1 }, `it has more than ${DOCUMENT_BYTES_MAX} characters`);
  }
  // A file that is being written, or a command that failed: with --prune, it would take all away.
  if (text.trim() === "") {
    const hint = "a document that names nothing is written: applications: {}";
    throw documentError({ file: name, line: 1, column: 1 }, "it is empty", hint);
  }
  const documents = [...composed(text, lines, placeAt).take(DOCUMENT_FILES_MAX + 1)];
  const tooMany = documents[DOCUMENT_FILES_MAX];
  if (tooMany !== undefined) {
    throw documentError(placeAt(tooMany.range[0]), `it has more than ${DOCUMENT_FILES_MAX} documents`);
  }
  return documents.flatMap((document) => {
    const [problem] = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
    if (problem !== undefined)
      throw documentError(placeAt(problem.pos[0]), problem.message.replace(/\s+/g, " ").trim());
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return [];
    const { value, aliases } = plainValue(document.contents, placeAt);
    const offsetOf = (path: readonly PropertyKey[], asksName = false) =>
      offsetIn(document.contents, aliases, { path, asksName });
    const locate: Locate = (path) => placeAt(offsetOf(path));
    const result = safeParse(desiredState, value, { abortEarly: true });
    if (result.success) return [{ state: result.output, directory, origin, locate }];
    const issue = result.issues[0];
    const path = (issue.path ?? []).map(({ key }) => key as PropertyKey);
    const { message, hint, details } = requestProblem(desiredState, issue);
    const field = String(details.field ?? "");
    throw documentError(
      placeAt(offsetOf(fieldPath(field, path), message.startsWith("unknown field"))),
      message.replace("(request)", "document"),
      hint,
    );
  });
}

/** A misspelt field is somewhere else than the one that is missing. */
function fieldPath(field: string, path: readonly PropertyKey[]): readonly PropertyKey[] {
  const parent = path.slice(0, -1);
  const before = parent.length === 0 ? "" : `${parent.map(String).join(".")}.`;
  return field.startsWith(before) && field !== "(request)" ? [...parent, field.slice(before.length)] : path;
}

/** Depth is counted while the text is read, because what comes after calls itself for each level. */
function* composed(text: string, lines: LineCounter, placeAt: (offset: number) => Place): Generator<Document.Parsed> {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, logLevel: "silent", version: "1.2" });
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) yield* composer.next(token);
    if (parser.stack.length > DOCUMENT_DEPTH_MAX) {
      throw documentError(placeAt(parser.offset), `it is nested deeper than ${DOCUMENT_DEPTH_MAX} levels`);
    }
  }
  for (const token of parser.end()) yield* composer.next(token);
  yield* composer.end(false, text.length);
}

interface Asked {
  readonly path: readonly PropertyKey[];
  readonly asksName: boolean;
}

/** The offset of a field's value, or of its name; or of what is nearest above it. */
function offsetIn(root: Node | null, aliases: PlainValue["aliases"], { path, asksName }: Asked): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const [at, key] of path.entries()) {
    node = aliases.get(node) ?? node;
    if (isMap(node)) {
      const pair = node.items.find((each) => nameIn((aliases.get(each.key) ?? each.key) as Scalar) === String(key));
      if (pair === undefined) return offset;
      const isLast = at === path.length - 1;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
      if (isLast && isScalar(node) && !asksName) return node.range?.[0] ?? offset;
    } else if (node !== null && typeof node === "object" && "items" in node) {
      const item = (node as { items: readonly unknown[] }).items[Number(key)];
      if (item === undefined) return offset;
      offset = (item as Node).range?.[0] ?? offset;
      node = item;
    } else return offset;
  }
  return offset;
}
