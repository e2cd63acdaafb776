import type { BytecodeLabels } from "../domain/image-labels.ts";
import type { BuildWork, ContainerToolPort } from "./container-tool.ts";
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
