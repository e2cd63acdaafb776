/** Reads the labels that describe an image's object file, from its configuration (OCI image spec, config.md). */
import { NAME_CHARS_MAX } from "../domain/limits.ts";
import type { ImageLabels } from "../platform/images.ts";
import { invalid, parseJson, recordOf } from "./manifest.ts";

export interface ReadLabels extends ImageLabels {
  /** Name of the object file in the layer; null if the labels do not give it. */
  readonly fileName: string | null;
}

/** Reads the current labels, or else those of older images, which contain one program. Throws INVALID_IMAGE. */
export function readLabels(config: Uint8Array, name: string): ReadLabels {
  const what = `the configuration of ${name}`;
  const labels = recordOf(recordOf(parseJson(config, what).config)?.Labels) ?? {};
  const label = (key: string): string | null => {
    const value = labels[`io.ebpf.${key}`];
    return typeof value === "string" && value !== "" ? value : null;
  };
  const table = (key: string) => {
    const text = label(key);
    return text === null ? null : tableIn(text, `label "io.ebpf.${key}" of ${name}`);
  };
  const program = label("bpf_function_name") ?? label("program_name");
  const type = label("program_type");
  if ((program === null) !== (type === null)) {
    const missing = program === null ? "io.ebpf.bpf_function_name" : "io.ebpf.program_type";
    throw invalid(what, `label "${missing}" is missing, and the others need it`);
  }
  const older = program === null || type === null ? null : { [program]: type };
  return { programs: table("programs") ?? older, maps: table("maps"), fileName: label("filename") };
}

/** Parses a JSON object that maps names to words. */
function tableIn(text: string, what: string): Readonly<Record<string, string>> {
  const entries = Object.entries(parseJson(new TextEncoder().encode(text), what));
  for (const [name, word] of entries) {
    const plain = typeof word === "string" && !/\p{Cc}/u.test(`${name}${word}`);
    if (!plain || name.length > NAME_CHARS_MAX || word.length > NAME_CHARS_MAX) {
      throw invalid(what, "it is not a table of names and types");
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}
