/** `bun run docs`: generates files from tables and types in the code. Tests check that the files are up to date. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cliPage } from "./cli-reference.ts";
import { type FindingCode, FINDINGS, findingRow } from "../src/domain/finding.ts";
import { ERROR_CODES, type ErrorCode, type ErrorKind, rowOf } from "../src/errors/codes.ts";
import type { GenericSchema } from "valibot";
import { desiredState } from "../src/service/apply/document.ts";
import { writeSchemas } from "./generate-schemas.ts";

const ROOT = resolve(import.meta.dir, "..");
export const DESIRED_STATE_SCHEMA = "docs/desired-state.schema.json";

/** What each kind means to a caller, in the order of the page. */
const KINDS: Readonly<Record<ErrorKind, string>> = {
  invalid: "The request cannot be carried out as it is. Change it.",
  "not-found": "Something that the request names does not exist.",
  conflict: "The request conflicts with the current state, or with somebody else's change.",
  precondition: "The system lacks something that bpfman needs.",
  permission: "The caller is not allowed to do this.",
  unsupported: "This version of bpfman, or this kernel, does not support it.",
  unavailable: "A resource failed. Trying again may help.",
  cancelled: "The caller or a signal stopped it.",
  internal: "A bug in bpfman.",
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
    "An error has a stable `code`, a `kind` that decides the exit code ([cli.md](cli.md#exit-codes)), a message, details as",
    "separate fields, often a hint, and the complete verifier log if the kernel rejected a program. Messages and hints are",
    "about the case at hand, with similar names for a misspelt one; the right-hand column says what to do in general.",
    "",
    ...sections.flat(),
  ].join("\n");
}

/** The text of docs/findings.md. */
export function findingsPage(): string {
  const rows = (Object.keys(FINDINGS) as FindingCode[]).map((code) => {
    const { severity, meaning, consequence, advice } = findingRow(code);
    return `| \`${code}\` | ${severity} | ${cell(meaning)} | ${cell(consequence)} | ${cell(advice)} |`;
  });
  return [
    "# Findings",
    "",
    "Generated from `src/domain/finding.ts` by `bun run docs`; do not edit.",
    "",
    "`bpfman doctor` reports these, and exits with 10 if there are any. An error means that something does not run as it was",
    "asked to; a warning, that it runs, but something around it is wrong. [howto/repair.md](howto/repair.md) shows how they",
    "are repaired.",
    "",
    "| code | severity | meaning | so | what to do |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

/** The JSON Schema of documents of a desired state. */
async function desiredStateSchema(): Promise<string> {
  const { toJsonSchema } = await import("@valibot/to-json-schema");
  // Tables are validated as plain objects first; JSON Schema cannot express what `check` adds.
  const schema = toJsonSchema(desiredState as GenericSchema, {
    typeMode: "output",
    ignoreActions: ["check", "transform"],
  });
  const optional = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(optional);
    if (typeof node !== "object" || node === null) return node;
    const fields = Object.entries(node).map(([key, value]) => [key, optional(value)] as const);
    const shape = Object.fromEntries(fields) as Record<string, unknown>;
    const properties = (shape.properties ?? {}) as Readonly<Record<string, { readonly default?: unknown }>>;
    // What has a default need not be given.
    if (Array.isArray(shape.required)) {
      shape.required = shape.required.filter((name) => properties[String(name)]?.default === undefined);
    }
    return shape;
  };
  const title = { title: "Desired state of bpfman", ...(optional(schema) as object) };
  return `${JSON.stringify(title, null, 2)}\n`;
}

const formatted = (path: string, text: string): string => {
  const format = Bun.spawnSync([join(ROOT, "node_modules/.bin/biome"), "format", `--stdin-file-path=${path}`], {
    cwd: ROOT,
    stdin: new TextEncoder().encode(text),
  });
  if (format.exitCode !== 0) throw new Error(`biome could not format ${path}: ${format.stderr}`);
  return format.stdout.toString();
};

/** The file as it is in the repository. */
export const desiredStateSchemaFile = async (): Promise<string> =>
  formatted(DESIRED_STATE_SCHEMA, await desiredStateSchema());

if (import.meta.main) {
  writeFileSync(join(ROOT, DESIRED_STATE_SCHEMA), await desiredStateSchemaFile());
  writeFileSync(join(ROOT, "docs/findings.md"), findingsPage());
  writeFileSync(join(ROOT, "docs/errors.md"), errorsPage());
  const cli = join(ROOT, "docs/cli.md");
  writeFileSync(cli, await cliPage(readFileSync(cli, "utf8")));
  await writeSchemas();
}
