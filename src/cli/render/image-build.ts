import type { BuildArgsAnswer, ImageBuildAnswer } from "../../domain/image-answer.ts";
import { printable } from "../../domain/printable.ts";

/** Renders `NAME=VALUE` lines, as `--build-arg` takes them. */
export const renderBuildArgs = ({ build_args }: BuildArgsAnswer): string =>
  Object.entries(build_args)
    .map(([name, value]) => `${name}=${printable(value)}\n`)
    .join("");

export const renderImageBuild = ({ published }: ImageBuildAnswer): string => `published: ${printable(published)}\n`;
