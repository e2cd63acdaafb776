import type { UprobeDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import { findSymbol, loadSegmentContains, symbolNames } from "../../object/symbols.ts";
import type { ByteSource } from "../../platform/files.ts";
import type { Host } from "../../platform/host.ts";
import type { AttachTarget } from "../requests/attach.ts";
import type { Resolve } from "./target.ts";

type UprobeTarget = Extract<AttachTarget, { kind: "uprobe" }>;

/** Whether a file of this name is the library meant: `libc` is libc.so.6 and libc-2.31.so, but not libcrypt.so.1. */
export function isLibrary(fileName: string, wanted: string): boolean {
  if (fileName === wanted) return true;
  const rest = fileName.startsWith(wanted) ? fileName.slice(wanted.length) : null;
  return rest !== null && (rest.startsWith(".so") || /^-[0-9.]+\.so/.test(rest));
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** The file behind `--target`, as a path that this process can open. Throws TARGET_NOT_FOUND, INVALID_ATTACH. */
function targetPath(host: Host, target: UprobeTarget): string {
  const wanted = target.target;
  if (wanted.startsWith("/")) return wanted;
  if (wanted.includes("/")) {
    throw new BpfmanError("INVALID_ATTACH", `target "${wanted}" is a relative path`, {
      hint: "give an absolute path, or the name of a library such as libc",
    });
  }
  if (target.pid !== null) {
    const mapped = host.files.mappedFiles(target.pid).find((path) => isLibrary(baseName(path), wanted));
    // The path is the process's own; its root folder need not be ours.
    if (mapped !== undefined) return `/proc/${target.pid}/root${mapped}`;
  }
  const cache = host.files.linkerCache("");
  const soname = cache.has(wanted) ? wanted : [...cache.keys()].find((name) => isLibrary(name, wanted));
  if (soname !== undefined) return cache.get(soname) as string;
  const near = didYouMean(wanted, cache.keys());
  throw new BpfmanError("TARGET_NOT_FOUND", `no library "${wanted}" in the dynamic linker's cache`, {
    details: { target: wanted },
    hint: near ?? "give the absolute path of the binary or library",
  });
}

/** Where in the file the probe goes, in bytes. Throws SYMBOL_NOT_FOUND, INVALID_ATTACH. */
function fileOffsetOf(source: ByteSource, target: UprobeTarget, path: string): number {
  const { fnName, offset } = target;
  if (fnName === null) {
    if (loadSegmentContains(source, offset)) return offset;
    throw new BpfmanError("INVALID_ATTACH", `offset ${offset} is not in the executable part of "${path}"`, {
      details: { target: path, offset },
      hint: "without --fn-name the offset counts from the start of the file",
    });
  }
  const symbol = findSymbol(source, fnName);
  if (symbol === null) {
    throw new BpfmanError("SYMBOL_NOT_FOUND", `no function "${fnName}" in "${path}"`, {
      details: { target: path, function: fnName },
      hint:
        didYouMean(fnName, symbolNames(source)) ??
        "a stripped file names its exported functions only; --offset alone needs no name",
    });
  }
  if (symbol.size > 0 && offset >= symbol.size) {
    throw new BpfmanError(
      "INVALID_ATTACH",
      `offset ${offset} is past the end of "${fnName}", which is ${symbol.size} bytes long`,
      {
        details: { target: path, function: fnName, offset, size: symbol.size },
      },
    );
  }
  return symbol.fileOffset + offset;
}

export const resolveUprobe: Resolve<UprobeTarget> = (host, program, target) => {
  if (target.containerPid !== null) {
    throw new BpfmanError("NOT_SUPPORTED", "attaching a uprobe by --container-pid is not supported yet", {
      hint: `give the path through that process: --target /proc/${target.containerPid}/root/PATH`,
    });
  }
  if (target.pid !== null && !host.files.processExists(target.pid)) {
    throw new BpfmanError("PROCESS_NOT_FOUND", `no process has pid ${target.pid}`, { details: { pid: target.pid } });
  }
  const path = targetPath(host, target);
  const source = host.files.openBinary(path);
  if (source === null) {
    throw new BpfmanError("TARGET_NOT_FOUND", `no file "${path}"`, { details: { target: target.target, path } });
  }
  try {
    const fileOffset = fileOffsetOf(source, target, path);
    const kind = program.type === "uretprobe" ? "uretprobe" : "uprobe";
    const { target: asked, fnName, offset, pid, containerPid } = target;
    const details: UprobeDetails = { kind, path, target: asked, fnName, offset, fileOffset, pid, containerPid };
    return { details, kernelAttach: () => ({ kind, path, fileOffset, pid }) };
  } finally {
    source.close();
  }
};
