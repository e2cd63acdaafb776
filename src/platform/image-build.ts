import type { ContainerToolName } from "../domain/container-tool.ts";
import type { BytecodeLabels } from "../domain/image-labels.ts";
import type { FilesPort } from "./files.ts";

/** An image's object file for one platform. */
export interface PlatformObject {
  /** GOARCH; the operating system is always linux. */
  readonly architecture: string;
  /** Name of the file in the image. */
  readonly fileName: string;
  readonly bytes: Uint8Array;
  readonly labels: BytecodeLabels;
}

export interface PublishPort {
  /**
   * Resolves a tag to `host[:port]/path:tag` and the name without the tag. Throws INVALID_REFERENCE, also for a digest,
   * which cannot be chosen.
   */
  target(tag: string): { readonly repository: string; readonly reference: string };
  /**
   * Uploads an image, or an index if there are several objects. Returns its digest, which depends only on the objects.
   */
  publish(reference: string, objects: readonly PlatformObject[], work: BuildWork): Promise<string>;
}

/** The ports for building an image, which needs neither kernel nor database. */
export interface ImageBuildHost {
  readonly files: Pick<FilesPort, "absolute" | "listDirectory" | "readObject">;
  readonly publisher: PublishPort;
  readonly containers: ContainerToolPort;
  /** GOARCH of this machine. */
  readonly architecture: string;
}

/** How a build reports to its caller and is cancelled. A service Context implements it. */
export interface BuildWork {
  readonly signal: AbortSignal;
  /** Reports the progress of a long-running step. */
  progress(message: string): void;
  /** Passes on a line printed by another program. */
  relay(line: string): void;
}

export interface ContainerBuild {
  /** `host[:port]/path:tag` */
  readonly tag: string;
  /** Absolute, like the build context directory. */
  readonly containerFile: string;
  readonly contextDirectory: string;
  /** `linux/amd64`, …, combined into an index; empty to build a single image for this machine's platform. */
  readonly platforms: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
}

export interface ContainerToolPort {
  /** Returns docker if its buildx works, else podman, or the tool that is `wanted`. Throws CONTAINER_TOOL_MISSING. */
  choose(wanted: ContainerToolName | null, signal: AbortSignal): Promise<ContainerToolName>;
  /**
   * Builds and pushes with the user's own settings and credentials of that tool and returns the digest of the pushed
   * image. Throws CONTAINER_BUILD_FAILED with the tool's exit status and last lines, CANCELLED.
   */
  buildAndPush(tool: ContainerToolName, build: ContainerBuild, work: BuildWork): Promise<string>;
}
