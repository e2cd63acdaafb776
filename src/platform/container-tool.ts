import type { ContainerToolName } from "../domain/container-tool.ts";

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
