import { arch, release } from "node:os";
import type { VersionAnswer } from "../domain/answer.ts";
import { libbpfVersion } from "../../ffi/safe/libbpf-version.ts";

/** What runs here: this executable, its Bun, the system's libbpf (null when there is none) and kernel. Never throws. */
export function versions(build: { readonly version: string; readonly commit: string }): VersionAnswer {
  return {
    version: build.version,
    commit: build.commit,
    bun: Bun.version,
    libbpf: libbpfVersion(),
    kernel: release(),
    arch: arch(),
  };
}
