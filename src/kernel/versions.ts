import { release } from "node:os";
import { libbpfVersion } from "../../ffi/safe/libbpf-version.ts";
import type { Versions } from "../platform/runtime.ts";

interface BuildInfo {
  readonly version: string;
  readonly commit: string;
}

/** What the kernel calls the processors (uname(2)); os.machine() of Bun 1.4 says arm64 for aarch64. */
const MACHINES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Returns the versions of this executable, its Bun, the system's libbpf (null if missing) and the kernel. Never throws.
 */
export function versions(build: BuildInfo): ReturnType<Versions["versions"]> {
  return {
    version: build.version,
    commit: build.commit,
    bun: Bun.version,
    libbpf: libbpfVersion(),
    kernel: release(),
    arch: MACHINES[process.arch] ?? process.arch,
  };
}
