import { machine, release } from "node:os";
import { libbpfVersion } from "../../ffi/safe/libbpf-version.ts";
import type { Versions } from "../platform/runtime.ts";

interface BuildInfo {
  readonly version: string;
  readonly commit: string;
}

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
    arch: machine(),
  };
}
