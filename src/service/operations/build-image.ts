import { basename, isAbsolute, relative } from "node:path";
import type { ImageBuildAnswer } from "../../domain/image-answer.ts";
import { CONTAINER_FILE_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { ImageBuildHost } from "../../platform/image-build.ts";
import { buildArgsOf, type Plan, planOf, platformsOf, warnOfDifferences } from "../image/build-plan.ts";
import { type Context, operation } from "../operation.ts";
import { type BuildImageRequest, buildImageRequest } from "../requests/build-requests.ts";

async function build(host: ImageBuildHost, request: BuildImageRequest, context: Context): Promise<ImageBuildAnswer> {
  const { repository, reference } = host.publisher.target(request.tag);
  const plan = planOf(request.bytecode, host.files);
  const made =
    request.containerFile === null
      ? { digest: await publish(host, { reference, plan, request }, context), runtime: null }
      : await buildInContainer(host, { reference, plan, request }, context);
  return {
    reference,
    published: `${repository}@${made.digest}`,
    digest: made.digest,
    runtime: made.runtime,
    platforms: platformsOf(plan),
    ...plan[0].labels,
  };
}

interface Job {
  readonly reference: string;
  readonly plan: Plan;
  readonly request: BuildImageRequest;
}

/** Here, each platform gets the labels of its own object. */
function publish(host: ImageBuildHost, { reference, plan, request }: Job, context: Context): Promise<string> {
  if (request.runtime !== null) {
    throw new BpfmanError(
      "INVALID_BUILD",
      `choose ${request.runtime} for the build: without a container file, no tool is run`,
      {
        hint: "give a container file with -f, or omit --runtime",
      },
    );
  }
  const objects = plan.map(({ slot, path, bytes, labels }) => {
    return { architecture: slot?.architecture ?? host.architecture, fileName: basename(path), bytes, labels };
  });
  return host.publisher.publish(reference, objects, context);
}

async function buildInContainer(host: ImageBuildHost, { reference, plan, request }: Job, context: Context) {
  const containerFile = host.files.absolute(request.containerFile as string);
  requireDeclared(plan, { containerFile, text: host.files.readObject(containerFile, CONTAINER_FILE_BYTES_MAX) });
  const contextDirectory = host.files.absolute(request.contextDirectory ?? ".");
  const buildArgs = buildArgsOf(plan, (path) => pathInside(contextDirectory, host.files.absolute(path)));
  warnOfDifferences(plan, context.log);
  const runtime = await host.containers.choose(request.runtime, context.signal);
  const platforms = platformsOf(plan);
  const job = { tag: reference, containerFile, contextDirectory, platforms, buildArgs };
  return { digest: await host.containers.buildAndPush(runtime, job, context), runtime };
}

/**
 * The tools ignore an argument that the Containerfile does not declare, which may then copy the whole context. Throws
 * INVALID_BUILD.
 */
function requireDeclared(plan: Plan, { containerFile, text }: { containerFile: string; text: Uint8Array }): void {
  const instructions = new TextDecoder().decode(text).match(/^[ \t]*ARG[ \t].*$/gim) ?? [];
  const declared = new Set(instructions.flatMap((line) => line.trim().split(/[\s=]+/)));
  const absent = plan.map(({ buildArg }) => buildArg).filter((name) => !declared.has(name));
  if (absent.length === 0) return;
  throw new BpfmanError("INVALID_BUILD", `build from "${containerFile}": it declares no ARG ${absent.join(", ARG ")}`, {
    details: { container_file: containerFile, absent },
    hint: "there is one kind of container file for a single object and one for several platforms: see docs/images.md",
  });
}

/** A Containerfile can only copy from its context. Throws INVALID_BUILD for a file outside of it. */
function pathInside(directory: string, path: string): string {
  const inside = relative(directory, path);
  if (!isAbsolute(inside) && inside !== ".." && !inside.startsWith("../")) return inside;
  throw new BpfmanError(
    "INVALID_BUILD",
    `copy "${path}" into the image: it is outside the build context "${directory}"`,
    {
      details: { path, context: directory },
      hint: "start the build in a directory that contains the object files, or build without a container file",
    },
  );
}

export const implementation = operation({ request: buildImageRequest, run: build });
