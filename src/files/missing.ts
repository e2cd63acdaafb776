/** Explains why a file was not found: which part of the path is wrong, and similar names. */
import { basename, dirname } from "node:path";
import * as fs from "node:fs";
import { COMPLETION_ENTRIES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { didYouMean } from "../errors/suggest.ts";

/** Returns FILE_NOT_FOUND for an absolute path. */
export function missing(path: string, kind: "file" | "directory"): BpfmanError {
  const hint = whereItEnds(path);
  const reason = kind === "file" ? "the file does not exist" : "there is no such directory";
  return new BpfmanError("FILE_NOT_FOUND", `read "${path}": ${reason}`, {
    details: { path },
    ...(hint === null ? {} : { hint }),
  });
}

/** Names the first directory in the path that does not exist, or similar names in the last one. */
function whereItEnds(path: string): string | null {
  const directory = dirname(path);
  try {
    const names = fs.readdirSync(directory).slice(0, COMPLETION_ENTRIES_MAX);
    return didYouMean(basename(path), names);
  } catch {
    const above = dirname(directory);
    if (above === directory) return null;
    return fs.existsSync(above) ? `there is no directory "${directory}"` : whereItEnds(directory);
  }
}
