import type { ContainerToolName } from "../domain/container-tool.ts";
import type { BytecodeLabels } from "../domain/image-labels.ts";
import type { FilesPort } from "./files.ts";

/** One object of an image, for one platform. */
export interface PlatformObject {
  /** GOARCH; the operating system is linux. */
  readonly architecture: string;
  /** Name of the file in the image. */
  readonly fileName: string;
  readonly bytes: Uint8Array;
  readonly labels: BytecodeLabels;
}

export interface PublishPort {
  /**
   * What a tag stands for, written out: `host[:port]/path:tag`, and the name without the tag. Throws INVALID_REFERENCE,
   * also for a digest, which nobody can choose.
   */
  target(tag: string): { readonly repository: string; readonly reference: string };
  /** Uploads one image, or an index when there are several objects; answers its digest, which depends on them alone. */
  publish(reference: string, objects: readonly PlatformObject[], work: BuildWork): Promise<string>;
}

/** What building an image needs: neither kernel nor database. */
export interface ImageBuildHost {
  readonly files: Pick<FilesPort, "absolute" | "listFolder" | "readObject">;
  readonly publisher: PublishPort;
  readonly containers: ContainerToolPort;
  /** GOARCH of this machine. */
  readonly architecture: string;
}

/** What the one who waits for a build sees and may do. A service Context is one. */
export interface BuildWork {
  readonly signal: AbortSignal;
  /** Said while something long is under way. */
  progress(message: string): void;
  /** A line that another program printed. */
  relay(line: string): void;
}

export interface ContainerBuild {
  /** `host[:port]/path:tag` */
  readonly tag: string;
  /** Absolute; likewise the folder that it copies from. */
  readonly containerFile: string;
  readonly contextFolder: string;
  /** `linux/amd64`; empty for one image of this machine's platform, else they make an index. */
  readonly platforms: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
}

export interface ContainerToolPort {
  /** docker where its buildx works, else podman; or the one that is wanted. Throws CONTAINER_TOOL_MISSING. */
  choose(wanted: ContainerToolName | null, signal: AbortSignal): Promise<ContainerToolName>;
  /**
   * Builds and pushes with the user's own settings and credentials of that tool, and answers the digest of what was
   * pushed. Throws CONTAINER_BUILD_FAILED with the tool's exit status and last lines, CANCELLED.
   */
  buildAndPush(tool: ContainerToolName, build: ContainerBuild, work: BuildWork): Promise<string>;
}
