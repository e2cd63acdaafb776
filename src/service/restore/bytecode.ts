/** Finds the object files of programs that are restored: the saved copy, the file that it came from, the image. */
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { EarlierProgram } from "../../platform/store.ts";
import type { Sources } from "../../platform/runtime.ts";
import type { Context } from "../operation.ts";
import { savedBytecode } from "../saved-bytecode.ts";

/** What images hold, by the digest of the object file that was wanted; or why it cannot be had. */
export type Pulled = ReadonlyMap<string, Uint8Array | BpfmanError>;

/** Returns the contents of a file if it has that digest. */
function fileWith(host: Host, path: string, digest: string): Uint8Array | null {
  try {
    return savedBytecode(host, { bytecodePath: path, bytecodeDigest: digest });
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return null;
    throw thrown;
  }
}

function onDisk(host: Host, { bytecodeDigest: digest, absoluteSourcePath }: ProgramRecord): Uint8Array | null {
  if (digest === null) return null;
  const paths = [host.files.bytecodePath(digest), ...(absoluteSourcePath === null ? [] : [absoluteSourcePath])];
  for (const path of paths) {
    const bytes = fileWith(host, path, digest);
    if (bytes !== null) return bytes;
  }
  return null;
}

/** Returns the object file that was loaded. Throws FILE_NOT_FOUND, or why its image cannot be had. */
export function bytesOf(host: Host, record: ProgramRecord, pulled: Pulled): Uint8Array {
  const { bytecodeDigest: digest, absoluteSourcePath: source, image } = record;
  const found = onDisk(host, record);
  if (found !== null) return found;
  const fromImage = digest === null ? undefined : pulled.get(digest);
  if (fromImage instanceof BpfmanError) throw fromImage;
  if (fromImage !== undefined) return fromImage;
  const what =
    digest === null
      ? "its object file was lost before the reboot"
      : `its object file (SHA-256 ${digest.slice(0, 12)}…) is neither saved nor at "${source ?? image?.url ?? ""}" any more`;
  throw new BpfmanError("FILE_NOT_FOUND", what, { details: { digest, source, image: image?.url ?? null } });
}

/** Pulls the images of programs whose saved copy is lost, by digest. Failures are answers, for the others are restored. */
export async function pullLost(
  host: Host,
  programs: readonly EarlierProgram[],
  sources: Pick<Sources, "openImages">,
  context: Context,
): Promise<Pulled> {
  const pulled = new Map<string, Uint8Array | BpfmanError>();
  for (const { record } of programs) {
    const { image, bytecodeDigest: digest } = record;
    if (image === null || digest === null || pulled.has(digest) || onDisk(host, record) !== null) continue;
    const reference = `${image.url.replace(/@.*$/, "")}@${image.digest}`;
    try {
      const images = await sources.openImages();
      const { bytes } = (await images.pull({ reference, registryAuth: null, pullPolicy: image.pullPolicy }, context))
        .object;
      const isSame = host.files.digest(bytes) === digest;
      const other = (): BpfmanError =>
        new BpfmanError("FILE_NOT_FOUND", `image "${reference}" has another object file than was loaded`, {
          details: { reference, digest },
        });
      pulled.set(digest, isSame ? bytes : other());
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError) || thrown.code === "CANCELLED") throw thrown;
      pulled.set(digest, thrown);
    }
  }
  return pulled;
}
