import { ROOT } from "../commands.ts";
import type { Detail } from "./help.ts";

/** Loads it, since the executable has only what it makes (scripts/constants.ts): wrapping texts is half of the work of `--help`. */
const ofRoot = async (detail: Detail): Promise<string> =>
  (await import("./help.ts")).helpOf({ nodes: [ROOT], command: null }, detail, null);

/** The help of `bpfman` itself for output that does not go to a terminal. */
export const ROOT_HELP: Readonly<Record<Detail, string>> = { short: await ofRoot("short"), long: await ofRoot("long") };
