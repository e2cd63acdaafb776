/** Selects the image of an index for this machine. */
import { endianness } from "node:os";
import { BpfmanError } from "../errors/error.ts";
import type { Descriptor } from "./repository.ts";

/** Returns the machine's architecture as images name it (GOARCH). */
export function hostArchitecture(): string {
  const little = endianness() === "LE";
  switch (process.arch) {
    case "x64":
      return "amd64";
    case "ia32":
      return "386";
    case "ppc64":
      return little ? "ppc64le" : "ppc64";
    case "mips":
      return little ? "mipsle" : "mips";
    default:
      return process.arch;
  }
}

/** Entries that are not images: signatures and attestations added by buildx. */
const isAttestation = ({ platform, annotations = {} }: Descriptor): boolean =>
  annotations["vnd.docker.reference.type"] !== undefined ||
  (platform?.os === "unknown" && platform.architecture === "unknown");

export const imagesIn = (entries: readonly Descriptor[]): Descriptor[] =>
  entries.filter((entry) => !isAttestation(entry));

/** Returns the entry for linux and this architecture. Variants do not matter to eBPF. Throws IMAGE_PLATFORM_MISSING. */
export function selectEntry(
  entries: readonly Descriptor[],
  { architecture, name }: { readonly architecture: string; readonly name: string },
): Descriptor {
  const images = imagesIn(entries);
  const found = images.find(({ platform }) => platform?.os === "linux" && platform.architecture === architecture);
  if (found !== undefined) return found;
  const there = images.map(platformText);
  throw new BpfmanError("IMAGE_PLATFORM_MISSING", `pull ${name}: it has nothing for linux/${architecture}`, {
    details: { architecture, platforms: there },
    hint: there.length === 0 ? "the index is empty" : `it has ${[...new Set(there)].join(", ")}`,
  });
}

/** `linux/arm64/v8` */
function platformText({ platform }: Descriptor): string {
  if (platform === undefined) return "an entry without a platform";
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined).join("/");
}
