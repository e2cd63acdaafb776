/** What securityfs says of the kernel's security modules. */
import { readFileSync } from "node:fs";
import { openFileSystem } from "../../../ffi/safe/mount.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { Lockdown } from "../../platform/kernel.ts";

function readSecurityfs(file: string): string {
  const securityfs = openFileSystem("securityfs");
  try {
    return readFileSync(`${securityfs.path}/${file}`, "utf8").trim();
  } finally {
    securityfs.close();
  }
}

/** Names of the active security modules, in their order. Throws SysError, or the error of node:fs. */
export const activeSecurityModules = (): string[] => readSecurityfs("lsm").split(",");

/** The state in brackets of a text like `none [integrity] confidentiality`; null when there is none. */
export function parseLockdown(text: string): Lockdown | null {
  const state = /\[(none|integrity|confidentiality)\]/.exec(text)?.[1];
  return state === undefined ? null : (state as Lockdown);
}

/** kernel_lockdown(7); null for a kernel without that module, or that cannot be asked. */
export function lockdown(): Lockdown | null {
  try {
    return parseLockdown(readSecurityfs("lockdown"));
  } catch (thrown) {
    if (sysFailure(thrown) === null) throw thrown;
    return null;
  }
}
