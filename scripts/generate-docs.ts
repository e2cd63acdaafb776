/** `bun run docs`: generates files from tables and types in the code. Tests check that the files are up to date. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cliPage } from "./cli-reference.ts";
import { ERROR_CODES, type ErrorCode, type ErrorKind, rowOf } from "../src/errors/codes.ts";
import { writeSchemas } from "./generate-schemas.ts";

const ROOT = resolve(import.meta.dir, "..");

/** What each kind says to a caller; the order is the order of the page. */
const KINDS: Readonly<Record<ErrorKind, string>> = {
  invalid: "The request cannot be carried out as it is; change it.",
  "not-found": "Something named in the request is not there.",
  conflict: "It does not fit what is there now, or somebody else is at it.",
  precondition: "The system lacks something that bpfman needs.",
  permission: "The caller may not do that.",
  unsupported: "This bpfman or this kernel cannot do that.",
  unavailable: "A resource failed; trying again may help.",
  cancelled: "The caller, or a signal, stopped it.",
  internal: "A mistake in bpfman.",
};

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "\\<");

const whatToDo = (code: ErrorCode): string => {
  const row = rowOf(code);
  return row.hint ?? row.advice;
};

/** The text of docs/errors.md. */
export function errorsPage(): string {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const sections = (Object.keys(KINDS) as ErrorKind[]).map((kind) => {
    const rows = codes
      .filter((code) => rowOf(code).kind === kind)
      .map((code) => `| \`${code}\` | ${cell(rowOf(code).meaning)} | ${cell(whatToDo(code))} |`);
    return [`## ${kind}`, "", KINDS[kind], "", "| code | meaning | what to do |", "|---|---|---|", ...rows, ""];
  });
  return [
    "# Errors",
    "",
    "Generated from `src/errors/codes.ts` by `bun run docs`; do not edit.",
    "",
    "An error has a stable `code`, a `kind` from which exit codes follow ([cli.md](cli.md#exit-codes)), a message, details",
    "in fields, often a hint, and the verifier's whole log when the kernel refused a program. Messages and hints name the",
    "case at hand, with near names for what was misspelt; the column on the right says what to do in general.",
    "",
    ...sections.flat(),
  ].join("\n");
}

if (import.meta.main) {
  writeFileSync(join(ROOT, "docs/errors.md"), errorsPage());
  const cli = join(ROOT, "docs/cli.md");
  writeFileSync(cli, await cliPage(readFileSync(cli, "utf8")));
  await writeSchemas();
}
