import type { ProgramSelector } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { PulledImage } from "../../platform/images.ts";

/**
 * An image that says what programs it has is asked for no others; whether they are in its object file is seen later.
 * Throws PROGRAM_NOT_IN_IMAGE.
 */
export function checkLabelled(image: PulledImage, selectors: readonly ProgramSelector[]): void {
  const { programs, reference } = image;
  if (programs === null) return;
  const names = Object.keys(programs);
  const missing = selectors.find(({ name }) => !names.includes(name));
  if (missing === undefined) return;
  const there = names.length === 0 ? "the image has no programs" : `the image has: ${names.join(", ")}`;
  const near = didYouMean(missing.name, names);
  throw new BpfmanError("PROGRAM_NOT_IN_IMAGE", `no program "${missing.name}" in image ${reference}`, {
    details: { program: missing.name, reference, programs: names },
    hint: near === null ? there : `${near} ${there}`,
  });
}
