/** Reads the state of the kernel's security modules (securityfs). */
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

/** Returns the names of the active security modules, in order. Throws SysError, or an error of node:fs. */
export const activeSecurityModules = (): string[] => readSecurityfs("lsm").split(",");

/** Returns the state in brackets in text like `none [integrity] confidentiality`; null if there is none. */
export function parseLockdown(text: string): Lockdown | null {
  const state = /\[(none|integrity|confidentiality)\]/.exec(text)?.[1];
  return state === undefined ? null : (state as Lockdown);
}

/** kernel_lockdown(7). Returns null if the kernel lacks the module or cannot be queried. */
export function lockdown(): Lockdown | null {
  try {
    return parseLockdown(readSecurityfs("lockdown"));
  } catch (thrown) {
    if (sysFailure(thrown) === null) throw thrown;
    return null;
  }
}
