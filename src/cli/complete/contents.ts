/** Suggests what a command line lacks from the object file it names. */
import { LISTED_NAMES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Invoke } from "../../service/invoke.ts";
import { type Given, givenFor } from "../parse/values.ts";

/**
 * Returns a hint for a command line without programs: the programs in the object, or what is wrong with it. Null if no
 * object is named, or it cannot be read.
 */
export async function contentsHint(given: Given, connect: () => Promise<Invoke>): Promise<string | null> {
  const file = givenFor(given, "object");
  if (file === null) return null;
  try {
    const invoke = await connect();
    const { values } = await invoke("complete", { what: "object-program", prefix: "", file });
    if (values.length === 0) return `"${file}" holds no program whose section names its type`;
    const more = values.length > LISTED_NAMES_MAX ? `, and ${values.length - LISTED_NAMES_MAX} more` : "";
    const names = values.slice(0, LISTED_NAMES_MAX).map(({ value }) => value);
    return `"${file}" holds ${names.join(", ")}${more}`;
  } catch (thrown) {
    return thrown instanceof BpfmanError && thrown.kind !== "internal" ? thrown.message : null;
  }
}
