/** Debian's kernels, downloaded as packages and unpacked. */
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Processor } from "../bun-for.ts";
import { cacheDirectory, fetchPackages } from "../debian.ts";
import { run } from "./run.ts";

/** A kernel of the test matrix, and the Debian suite that contains it. */
export interface KernelSource {
  readonly name: string;
  readonly suite: string;
  readonly processor: Processor;
}

/** From the oldest supported kernel to the newest that Debian packages for its stable releases, and another processor. */
export const KERNELS: readonly KernelSource[] = [
  { name: "6.1", suite: "bookworm", processor: "x64" },
  { name: "6.12", suite: "bookworm-backports", processor: "x64" },
  { name: "newest", suite: "trixie-backports", processor: "x64" },
  { name: "arm64", suite: "bookworm-backports", processor: "arm64" },
];

/** Throws if there is none of that name. */
export function kernelNamed(name: string): KernelSource {
  const source = KERNELS.find((kernel) => kernel.name === name);
  if (!source)
    throw new Error(`unknown kernel "${name}": the kernels are ${KERNELS.map((kernel) => kernel.name).join(", ")}`);
  return source;
}

export interface UnpackedKernel {
  readonly name: string;
  readonly processor: Processor;
  /** The output of `uname -r` on it. */
  readonly release: string;
  /** Directory that holds `boot` and `lib/modules` (or `usr/lib/modules`). */
  readonly root: string;
  readonly image: string;
}

const ARCHITECTURES: Readonly<Record<Processor, string>> = { x64: "amd64", arm64: "arm64" };
const packageFor = ({ processor }: KernelSource): string => `linux-image-cloud-${ARCHITECTURES[processor]}`;
const CACHE = cacheDirectory("bpfman-vm");

/** The kernel packages that the metapackage pulls in: the image, and since 7.x also binary and modules. */
function packagesOf(metapackage: string, apt: readonly string[]): string[] {
  const depends = run(["apt-cache", ...apt, "depends", "--recurse", "--no-recommends", "--no-suggests", metapackage]);
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
function describe({ name, processor }: KernelSource, directory: string): UnpackedKernel | null {
  if (!existsSync(join(directory, "complete"))) return null;
  const root = existsSync(join(directory, "tree/lib/modules")) ? join(directory, "tree") : join(directory, "tree/usr");
  const release = readdirSync(join(root, "lib/modules"))[0];
  const image = find(join(directory, "tree"), (file) => file.startsWith("vmlinuz"));
  return release && image ? { name, processor, release, root, image } : null;
}

/** Returns the kernel from the cache or from Debian's archive. Throws if neither has it. */
export function fetchKernel(source: KernelSource): UnpackedKernel {
  const cached = describe(source, join(CACHE, source.name));
  if (cached) return cached;
  try {
    return fetchFromArchive(source);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `kernel ${source.name} is not in ${CACHE} and could not be downloaded: ${why}\n` +
        `vm: it is in the package ${packageFor(source)} of Debian's ${source.suite}, which apt downloads from the mirror that this machine uses`,
    );
  }
}

function fetchFromArchive(source: KernelSource): UnpackedKernel {
  const directory = join(CACHE, source.name);
  process.stderr.write(`vm: downloading kernel ${source.name} from ${source.suite}\n`);
  fetchPackages(directory, {
    suite: source.suite,
    architecture: ARCHITECTURES[source.processor],
    packages(apt) {
      const packages = packagesOf(packageFor(source), apt);
      if (packages.length === 0) throw new Error(`suite ${source.suite} has no ${packageFor(source)}`);
      return packages;
    },
    finish(tree) {
      const root = existsSync(join(tree, "lib/modules")) ? tree : join(tree, "usr");
      run(["depmod", "-b", root, readdirSync(join(root, "lib/modules"))[0] as string]);
    },
  });
  const fetched = describe(source, directory);
  if (!fetched) throw new Error(`the packages of kernel ${source.name} contain no kernel image`);
  return fetched;
}

/** What the tests, the demo and the package use: of the Debian release that bpfman is tested on, without its running services. */
const GUEST_SUITE = "bookworm";
const GUEST_PACKAGES = [
  ...["bash", "base-files", "base-passwd", "coreutils", "dash", "diffutils", "findutils", "gawk", "grep", "gzip"],
  ...["kmod", "libc-bin", "mount", "procps", "sed", "tar", "util-linux", "busybox-static"],
  ...["libbpf1", "libbpf-dev", "linux-libc-dev", "clang", "llvm", "gcc", "libc6-dev"],
  ...["bpftool", "iproute2", "iputils-ping", "xdp-tools", "strace", "jq", "python3", "git", "systemd"],
  ...["dpkg", "init-system-helpers", "passwd", "man-db"],
];

/**
 * The root directory for a machine with that processor: this machine's, or for another one unpacked packages, which is enough to
 * run things.
 */
export function rootFor(processor: Processor): string {
  if (processor === process.arch) return "/";
  const directory = join(CACHE, `root-${processor}-${Bun.hash.crc32(GUEST_PACKAGES.join()).toString(16)}`);
  const root = join(directory, "tree");
  if (existsSync(join(directory, "complete"))) return root;
  process.stderr.write(`vm: downloading a Debian for ${processor}\n`);
  fetchPackages(directory, {
    suite: GUEST_SUITE,
    architecture: ARCHITECTURES[processor],
    packages: () => GUEST_PACKAGES,
    withDependencies: true,
    finish(tree) {
      // What the packages' scripts would do, which cannot run here.
      for (const [target, link] of [
        ["dash", "bin/sh"],
        ["gawk", "bin/awk"],
      ] as const) {
        if (!existsSync(join(tree, link))) symlinkSync(target, join(tree, link));
      }
      for (const name of ["passwd", "group"]) {
        cpSync(join(tree, `usr/share/base-passwd/${name}.master`), join(tree, "etc", name));
      }
      for (const name of ["bin", "lib", "share"]) mkdirSync(join(tree, "usr/local", name), { recursive: true });
      writeFileSync(join(tree, "etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n");
    },
  });
  return root;
}
