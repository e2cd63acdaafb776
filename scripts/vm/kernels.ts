/** Debian's kernels, downloaded as packages and unpacked. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, fetchPackages } from "../debian.ts";
import { run } from "./run.ts";

/** A kernel of the test matrix, and the Debian suite that contains it. */
export interface KernelSource {
  readonly name: string;
  readonly suite: string;
}

/** From the oldest supported kernel to the newest that Debian packages for its stable releases. */
export const KERNELS: readonly KernelSource[] = [
  { name: "6.1", suite: "bookworm" },
  { name: "6.12", suite: "bookworm-backports" },
  { name: "newest", suite: "trixie-backports" },
];

export interface UnpackedKernel {
  readonly name: string;
  /** The output of `uname -r` on it. */
  readonly release: string;
  /** Directory that holds `boot` and `lib/modules` (or `usr/lib/modules`). */
  readonly root: string;
  readonly image: string;
}

const PACKAGE = "linux-image-cloud-amd64";
const CACHE = cacheDirectory("bpfman-vm");

/** The kernel packages that the metapackage pulls in: the image, and since 7.x also binary and modules. */
function packagesOf(apt: readonly string[]): string[] {
  const depends = run(["apt-cache", ...apt, "depends", "--recurse", "--no-recommends", "--no-suggests", PACKAGE]);
  const names = new Set<string>();
  for (const [, name] of depends.matchAll(/Depends: (linux-(?:image|binary|modules)-[0-9][^\s]*)/g))
    names.add(name as string);
  return [...names].filter((name) => !name.endsWith("-unsigned"));
}

function find(directory: string, wanted: (name: string) => boolean): string | null {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isFile() && wanted(entry.name)) return path;
    const inside = entry.isDirectory() ? find(path, wanted) : null;
    if (inside) return inside;
  }
  return null;
}

/** Describes an unpacked tree; null if it is incomplete. */
function describe(name: string, directory: string): UnpackedKernel | null {
  if (!existsSync(join(directory, "complete"))) return null;
  const root = existsSync(join(directory, "tree/lib/modules")) ? join(directory, "tree") : join(directory, "tree/usr");
  const release = readdirSync(join(root, "lib/modules"))[0];
  const image = find(join(directory, "tree"), (file) => file.startsWith("vmlinuz"));
  return release && image ? { name, release, root, image } : null;
}

/** Returns the kernel from the cache or from Debian's archive. Throws if neither has it. */
export function fetchKernel(source: KernelSource): UnpackedKernel {
  const cached = describe(source.name, join(CACHE, source.name));
  if (cached) return cached;
  try {
    return fetchFromArchive(source);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `kernel ${source.name} is not in ${CACHE} and could not be downloaded: ${why}\n` +
        `vm: it is in the package ${PACKAGE} of Debian's ${source.suite}, which apt downloads from the mirror that this machine uses`,
    );
  }
}

function fetchFromArchive(source: KernelSource): UnpackedKernel {
  const directory = join(CACHE, source.name);
  process.stderr.write(`vm: downloading kernel ${source.name} from ${source.suite}\n`);
  fetchPackages(directory, {
    suite: source.suite,
    packages(apt) {
      const packages = packagesOf(apt);
      if (packages.length === 0) throw new Error(`suite ${source.suite} has no ${PACKAGE}`);
      return packages;
    },
    finish(tree) {
      const root = existsSync(join(tree, "lib/modules")) ? tree : join(tree, "usr");
      run(["depmod", "-b", root, readdirSync(join(root, "lib/modules"))[0] as string]);
    },
  });
  const fetched = describe(source.name, directory);
  if (!fetched) throw new Error(`the packages of kernel ${source.name} contain no kernel image`);
  return fetched;
}
