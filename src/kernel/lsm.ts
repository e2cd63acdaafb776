import { readFileSync } from "node:fs";
import { openFileSystem } from "../../ffi/safe/mount.ts";
import { attempt } from "./failure.ts";

/** Whether `bpf` is among the active security modules (securityfs, file `lsm`). Throws KERNEL_UNSUPPORTED without securityfs. */
export function lsmActive(): boolean {
  return attempt({ action: "read the list of security modules", code: "KERNEL_UNSUPPORTED" }, () => {
    const securityfs = openFileSystem("securityfs");
    try {
      return readFileSync(`${securityfs.path}/lsm`, "utf8").trim().split(",").includes("bpf");
    } finally {
      securityfs.close();
    }
  });
}
