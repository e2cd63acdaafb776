/** What the compiler and the verifier say, as diagnostics of files. */
import { basename, dirname, resolve } from "node:path";
import {
  type Diagnostic,
  type DiagnosticRelatedInformation,
  DiagnosticSeverity,
  type Range,
} from "vscode-languageserver";
import type { CheckedProgramAnswer, DiagnosticAnswer, RefusalAnswer } from "../src/domain/check-answer.ts";
import type { SourceLine } from "../src/domain/object-file.ts";
import { linesOf, rangeOf } from "./positions.ts";

/** What is known about the files around a source. */
export interface Sources {
  /** The source that was compiled, an absolute path. */
  readonly main: string;
  uriOf(path: string): string;
  /** The contents of a file as it was compiled; null if it cannot be read. */
  read(path: string): Uint8Array | null;
  /** Where a program is declared in the source; null if it is not found there. */
  programRange(name: string): Range | null;
}

/** By the URI of the file in which they are. */
export type Diagnostics = ReadonlyMap<string, Diagnostic[]>;

const FIRST_LINE: Range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };

const SEVERITIES = {
  error: DiagnosticSeverity.Error,
  warning: DiagnosticSeverity.Warning,
  note: DiagnosticSeverity.Information,
} as const;

interface Located {
  readonly path: string;
  readonly range: Range;
}

/** Puts diagnostics together, each at its place. */
export class DiagnosticsOf {
  readonly #sources: Sources;
  readonly #lines = new Map<string, Uint8Array[]>();
  readonly #found = new Map<string, Diagnostic[]>();

  constructor(sources: Sources) {
    this.#sources = sources;
    // The source itself gets an answer even if nothing is wrong.
    this.#found.set(sources.uriOf(sources.main), []);
  }

  get found(): Diagnostics {
    return this.#found;
  }

  /** Something that is wrong with the whole source. */
  addFailure(message: string, code: string): void {
    const range = this.#lineRange(this.#sources.main, 1) ?? FIRST_LINE;
    this.#add(
      { path: this.#sources.main, range },
      { severity: DiagnosticSeverity.Error, source: "bpfman", code, message },
    );
  }

  /** Notes belong to the error or warning before them. */
  addCompiler(said: readonly DiagnosticAnswer[]): void {
    const { main } = this.#sources;
    for (const [index, one] of said.entries()) {
      if (one.severity === "note") continue;
      const rest = said.slice(index + 1);
      const next = rest.findIndex(({ severity }) => severity !== "note");
      const notes = next < 0 ? rest : rest.slice(0, next);
      const related = notes.flatMap((note) => {
        const place = this.#compilerPlace(note);
        return place === null ? [] : [this.#related(place, note.message)];
      });
      const place = this.#compilerPlace(one) ?? { path: main, range: FIRST_LINE };
      const diagnostic = {
        severity: SEVERITIES[one.severity],
        source: "clang",
        message: one.message,
        ...(one.option === null ? {} : { code: one.option }),
      };
      this.#add(place, { ...diagnostic, relatedInformation: related });
      if (place.path === main) continue;
      const message = `in ${basename(place.path)}, line ${place.range.start.line + 1}: ${one.message}`;
      const include = { path: main, range: this.#includeOf(place.path) };
      this.#add(include, {
        ...diagnostic,
        message,
        relatedInformation: [this.#related(place, one.message), ...related],
      });
    }
  }

  addProgram({ name, refusal }: CheckedProgramAnswer): void {
    if (refusal === null) return;
    const { main } = this.#sources;
    const message = `the verifier refuses "${name}": ${reasonOf(refusal)}`;
    const diagnostic = { severity: DiagnosticSeverity.Error, source: "bpfman", code: refusal.code };
    const led = refusal.path.flatMap((line) => this.#relatedLine(line, "this led to it"));
    const acquired =
      refusal.acquired === null ? [] : this.#relatedLine(refusal.acquired, "the reference was acquired here");
    const relatedInformation = [...acquired, ...led];
    const place = refusal.source === null ? null : this.#verifierPlace(refusal.source);
    const head = { path: main, range: this.#sources.programRange(name) ?? FIRST_LINE };
    this.#add(place ?? head, { ...diagnostic, message, relatedInformation });
    if (place === null || place.path === main) return;
    // It is reported where it is, and for those who look at the program only.
    const where = `${message} (in ${basename(place.path)}, line ${place.range.start.line + 1})`;
    const related = [this.#related(place, refusal.reason), ...relatedInformation];
    this.#add(head, { ...diagnostic, message: where, relatedInformation: related });
  }

  #add({ path, range }: Located, diagnostic: Omit<Diagnostic, "range">): void {
    const uri = this.#sources.uriOf(path);
    const others = this.#found.get(uri) ?? [];
    const { relatedInformation = [], ...rest } = diagnostic;
    others.push({ range, ...rest, ...(relatedInformation.length === 0 ? {} : { relatedInformation }) });
    this.#found.set(uri, others);
  }

  #related({ path, range }: Located, message: string): DiagnosticRelatedInformation {
    return { location: { uri: this.#sources.uriOf(path), range }, message };
  }

  #relatedLine(line: SourceLine, message: string): DiagnosticRelatedInformation[] {
    const place = this.#verifierPlace(line);
    return place === null ? [] : [this.#related(place, message)];
  }

  /** Null where the object does not say it. */
  #verifierPlace({ file, line, column, text }: SourceLine): Located | null {
    if (file === null || line === null) return null;
    const path = this.#absolute(file);
    // The text is in the object, as it was compiled.
    const bytes = text === null ? this.#line(path, line) : new TextEncoder().encode(text);
    return { path, range: rangeOf({ line, column }, bytes ?? new Uint8Array()) };
  }

  #compilerPlace({ file, line, column }: DiagnosticAnswer): Located | null {
    if (file === null || line === null) return null;
    const path = this.#absolute(file);
    return { path, range: rangeOf({ line, column }, this.#line(path, line) ?? new Uint8Array(), true) };
  }

  #absolute(file: string): string {
    return resolve(dirname(this.#sources.main), file);
  }

  #linesOf(path: string): Uint8Array[] {
    const known = this.#lines.get(path);
    if (known !== undefined) return known;
    const file = this.#sources.read(path);
    const lines = file === null ? [] : linesOf(file);
    this.#lines.set(path, lines);
    return lines;
  }

  #line(path: string, line: number): Uint8Array | null {
    return this.#linesOf(path)[line - 1] ?? null;
  }

  #lineRange(path: string, line: number): Range | null {
    const bytes = this.#line(path, line);
    return bytes === null ? null : rangeOf({ line, column: null }, bytes);
  }

  /** The line that includes a file, if the source does so itself. */
  #includeOf(path: string): Range {
    const { main } = this.#sources;
    const name = basename(path);
    const lines = this.#linesOf(main).map((line) => new TextDecoder().decode(line));
    const includes = lines.findIndex((line) => /^\s*#\s*include\b/.test(line) && line.includes(name));
    return this.#lineRange(main, includes < 0 ? 1 : includes + 1) ?? FIRST_LINE;
  }
}

const reasonOf = ({ reason, hint }: RefusalAnswer): string => (hint === null ? reason : `${reason}\n${hint}`);
