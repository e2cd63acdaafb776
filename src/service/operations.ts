/**
 * The operations table: every public verb, once. The command line and the JSON-RPC server both go through it, and a test
 * walks it. Modules are fetched on call, so that a command pays for what it does and nothing else.
 */
import type {
  DetachAnswer,
  LinkAnswer,
  LinkListAnswer,
  LoadAnswer,
  ProgramAnswer,
  ProgramListAnswer,
  UnloadAnswer,
  VersionAnswer,
} from "../domain/answer.ts";

interface Row {
  /** `read` takes no lock and changes nothing; `write` runs alone, under the writer lock; `none` needs no host at all. */
  readonly access: "read" | "write" | "none";
  readonly privilege: "root" | "none";
}

export const OPERATIONS = {
  "program/load": { access: "write", privilege: "root" },
  "program/unload": { access: "write", privilege: "root" },
  "program/list": { access: "read", privilege: "root" },
  "program/get": { access: "read", privilege: "root" },
  "link/attach": { access: "write", privilege: "root" },
  "link/detach": { access: "write", privilege: "root" },
  "link/list": { access: "read", privilege: "root" },
  "link/get": { access: "read", privilege: "root" },
  version: { access: "none", privilege: "none" },
} as const satisfies Record<string, Row>;

export type OperationName = keyof typeof OPERATIONS;

/** What each operation answers. */
export interface Answers {
  "program/load": LoadAnswer;
  "program/unload": UnloadAnswer;
  "program/list": ProgramListAnswer;
  "program/get": ProgramAnswer;
  "link/attach": LinkAnswer;
  "link/detach": DetachAnswer;
  "link/list": LinkListAnswer;
  "link/get": LinkAnswer;
  version: VersionAnswer;
}
