/** What a line lacks can stand in the object file that it names. */
import { LISTED_NAMES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Invoke } from "../../service/invoke.ts";
import type { Field } from "../command.ts";
import type { Given } from "../parse/values.ts";

/** The value of a field that completes so, as an option or as a word. */
function givenFor({ options, places, words }: Given, completes: Field["completes"]): string | null {
  const option = options.find(({ field }) => field?.completes === completes);
  return option?.value ?? words[places.findIndex((place) => place.completes === completes)] ?? null;
}

/**
 * A hint for a line without programs: those that the object has, or what is wrong with the object. Null when no object is
 * named, or it cannot be looked at.
 */
export async function contentsHint(given: Given, connect: () => Promise<Invoke>): Promise<string | null> {
  const file = givenFor(given, "object");
  if (file === null) return null;
  try {
    const invoke = await connect();
    const { values } = await invoke("complete", { what: "object-program", prefix: "", file });
    if (values.length === 0) return `"${file}" holds no program that bpfman attaches`;
    const more = values.length > LISTED_NAMES_MAX ? `, and ${values.length - LISTED_NAMES_MAX} more` : "";
    const names = values.slice(0, LISTED_NAMES_MAX).map(({ value }) => value);
    return `"${file}" holds ${names.join(", ")}${more}`;
  } catch (thrown) {
    return thrown instanceof BpfmanError && thrown.kind !== "internal" ? thrown.message : null;
  }
}
