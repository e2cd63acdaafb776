import { isEveryProgram, type ProgramSelector } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import type { PulledImage } from "../../platform/images.ts";

/**
 * If an image's labels list its programs, others cannot be requested. Whether the object file contains them is checked
 * later. Throws PROGRAM_NOT_IN_IMAGE.
 */
export function checkLabelled(image: PulledImage, selectors: readonly ProgramSelector[]): void {
  const { programs, reference } = image;
  if (programs === null) return;
  const names = Object.keys(programs);
  const missing = selectors.find((asked) => !names.includes(asked.name) && !isEveryProgram(asked));
  if (missing === undefined) return;
  throw new BpfmanError("PROGRAM_NOT_IN_IMAGE", `no program "${missing.name}" in image ${reference}`, {
    details: { program: missing.name, reference, programs: names },
    hint: whatThereIs(missing.name, names, { there: "the image has", none: "the image has no programs" }),
  });
}
