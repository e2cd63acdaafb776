/** Compilation databases (clang.llvm.org/docs/JSONCompilationDatabase.html): how the files of a project are compiled. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { COMPILATION_DATABASE_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf } from "../errors/sys-failure.ts";
import { takenFlags, wordsOf } from "./compile-flags.ts";

const NAME = "compile_commands.json";

const database = v.array(
  v.object({
    directory: v.string(),
    file: v.string(),
    command: v.optional(v.string()),
    arguments: v.optional(v.array(v.string())),
  }),
);

/**
 * Returns the flags that the nearest database above a source has for it; null if none has any. Throws
 * COMPILATION_DATABASE_INVALID.
 */
export function databaseFlags(source: string): string[] | null {
  for (let directory = dirname(source); ; directory = dirname(directory)) {
    const path = join(directory, NAME);
    const text = read(path);
    if (text !== null) {
      const entry = parse(text, path).find((each) => resolve(directory, each.directory, each.file) === source);
      if (entry === undefined) return null;
      const words = entry.arguments ?? wordsOf(entry.command ?? "");
      // The first word is a compiler, which is not run.
      return takenFlags(words.slice(1), resolve(directory, entry.directory));
    }
    if (directory === dirname(directory)) return null;
  }
}

const invalid = (path: string, reason: string, cause?: unknown): BpfmanError =>
  new BpfmanError("COMPILATION_DATABASE_INVALID", `read "${path}": ${reason}`, { details: { path }, cause });

/** Returns null if there is none. */
function read(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoName(thrown) ?? "")) return null;
    throw invalid(path, reasonOf(thrown), thrown);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw invalid(path, "it is not a regular file");
    if (stat.size > COMPILATION_DATABASE_BYTES_MAX)
      throw invalid(path, `it has ${stat.size} bytes; at most ${COMPILATION_DATABASE_BYTES_MAX} are read`);
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

function parse(text: string, path: string): v.InferOutput<typeof database> {
  try {
    return v.parse(database, JSON.parse(text));
  } catch (cause) {
    throw invalid(path, `it is not a compilation database: ${reasonOf(cause)}`, cause);
  }
}
