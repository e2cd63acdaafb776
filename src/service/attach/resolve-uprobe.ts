import type { UprobeDetails, UprobeMultiDetails } from "../../domain/link.ts";
import { LISTED_NAMES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import {
  type FoundSymbol,
  findSymbols,
  loadSegmentContains,
  namedFunctions,
  symbolNames,
} from "../../object/symbols.ts";
import type { BinaryFile } from "../../platform/files.ts";
import type { Host } from "../../platform/host.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { functionsMatching } from "./pattern.ts";
import type { AttachSpec, Resolve } from "./target.ts";

type UprobeTarget = Extract<AttachTarget, { kind: "uprobe" }>;
type Wanted = Pick<UprobeTarget, "target" | "pid" | "containerPid"> & {
  /** The /proc directory of the process in a container; null if none was named. */
  readonly container: string | null;
};

/**
 * Reports whether a file name matches the requested library: `libc` is libc.so.6 and libc-2.31.so, but not
 * libcrypt.so.1.
 */
function isLibrary(fileName: string, wanted: string): boolean {
  if (fileName === wanted) return true;
  const rest = fileName.startsWith(wanted) ? fileName.slice(wanted.length) : null;
  return rest !== null && (rest.startsWith(".so") || /^-[0-9.]+\.so/.test(rest));
}

/** Returns the short name by which libraries are requested: `libc` for libc.so.6. */
const shortName = (name: string): string => name.replace(/(-[0-9.]+)?\.so.*$/, "");

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** A file to look for: a path, relative to the root directory of a process if one is given. */
interface Place {
  readonly path: string;
  readonly root: string | null;
}

/**
 * Returns the file that `--target` names. A library name is resolved as seen by the process in a container, or by the
 * only process probed: first among its mapped files, then in the dynamic linker's cache. Throws TARGET_NOT_FOUND,
 * INVALID_ATTACH.
 */
function placeOf(host: Host, target: Wanted): Place {
  const { target: wanted, pid, containerPid, container } = target;
  const root = container === null ? null : `${container}/root`;
  if (wanted.startsWith("/")) return { path: wanted, root };
  if (wanted.includes("/")) {
    throw new BpfmanError("INVALID_ATTACH", `target "${wanted}" is a relative path`, {
      hint: "give an absolute path, or the name of a library such as libc",
    });
  }
  for (const process of [pid === null ? null : `/proc/${pid}`, container]) {
    const mapped = process === null ? [] : host.files.mappedFiles(process);
    const library = mapped.find(({ path }) => isLibrary(baseName(path), wanted));
    if (library !== undefined) return { path: library.handle, root: null };
  }
  const cache = host.files.linkerCache(root);
  const soname = cache.has(wanted) ? wanted : [...cache.keys()].find((name) => isLibrary(name, wanted));
  if (soname !== undefined) return { path: cache.get(soname) as string, root };
  const whose = containerPid === null ? "" : ` of process ${containerPid}`;
  throw new BpfmanError("TARGET_NOT_FOUND", `no library "${wanted}" in the dynamic linker's cache${whose}`, {
    details: { target: wanted },
    hint:
      didYouMean(shortName(wanted), new Set([...cache.keys()].map(shortName))) ??
      "give the absolute path of the binary or library",
  });
}

/**
 * Opens the target by path or name alone; returns null if it does not exist. Throws like {@link placeOf},
 * FILE_UNREADABLE.
 */
export function openNamedTarget(host: Host, target: string): BinaryFile | null {
  const { path, root } = placeOf(host, { target, pid: null, containerPid: null, container: null });
  return host.files.openBinary(path, root);
}

/** Opens the target. Throws TARGET_NOT_FOUND, FILE_UNREADABLE. */
function openTarget(host: Host, target: Wanted): BinaryFile {
  const { path, root } = placeOf(host, target);
  const file = host.files.openBinary(path, root);
  if (file !== null) return file;
  const { pid, containerPid } = target;
  const where = containerPid === null ? "" : ` in the mount namespace of process ${containerPid}`;
  throw new BpfmanError("TARGET_NOT_FOUND", `no file "${path}"${where}`, {
    details: { target: target.target, path, container_pid: containerPid },
    ...(pid !== null && containerPid === null
      ? { hint: `if process ${pid} runs in a container, add --container-pid ${pid}` }
      : {}),
  });
}

/** Adds the target's path to errors of its reader, which only sees bytes. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof BpfmanError) || cause.code !== "INVALID_ATTACH") throw cause;
    throw cause.with({ message: `check "${path}": ${cause.message}`, details: { target: path } });
  }
}

/** Returns the probe's offset in the file, in bytes. Throws SYMBOL_NOT_FOUND, ATTACH_FAILED, INVALID_ATTACH. */
function fileOffsetOf(host: Host, source: BinaryFile, target: UprobeTarget): number {
  const { fnName, offset } = target;
  const path = target.target;
  if (fnName === null) {
    if (named(path, () => loadSegmentContains(source, offset))) return offset;
    throw new BpfmanError("INVALID_ATTACH", `offset ${offset} is not in the executable part of "${path}"`, {
      details: { target: path, offset },
      hint: "without --fn-name the offset counts from the start of the file",
    });
  }
  const symbol = theOne(host, source, { path, fnName, offset });
  if (symbol.size > 0 && offset >= symbol.size) {
    throw new BpfmanError(
      "INVALID_ATTACH",
      `offset ${offset} is past the end of "${fnName}", which is ${symbol.size} bytes long`,
      {
        details: { target: path, function: fnName, offset, size: symbol.size },
        hint: `give an offset below ${symbol.size}, or none for the start of the function`,
      },
    );
  }
  return symbol.fileOffset + offset;
}

interface Named {
  /** The target as requested. */
  readonly path: string;
  readonly fnName: string;
  /** Bytes from the start of the function. */
  readonly offset: number;
}

/** Returns the function with that name if it is unambiguous. Throws SYMBOL_NOT_FOUND, ATTACH_FAILED, INVALID_ATTACH. */
function theOne(host: Host, source: BinaryFile, { path, fnName, offset }: Named): FoundSymbol {
  const [first, ...others] = named(path, () => findSymbols(source, fnName));
  if (first === undefined) {
    throw new BpfmanError("SYMBOL_NOT_FOUND", `no function "${fnName}" in "${path}"`, {
      details: { target: path, function: fnName },
      hint: didYouMean(fnName, symbolNames(source)) ?? whereNamesAre(source, fnName),
    });
  }
  if (others.length > 0) throw severalOf({ path, fnName, offset }, [first, ...others]);
  if (first.indirect) throw indirect(host, source, { path, fnName, offset });
  return first;
}

function whereNamesAre(source: BinaryFile, fnName: string): string {
  if (fnName.endsWith(")") && fnName.includes("(")) {
    return "give a C++ function without its parameters, or its name as nm(1) shows it";
  }
  return symbolNames(source).next().done === true
    ? "the file is stripped and names no functions; --offset works without a name"
    : "a stripped file names only its exported functions; --offset works without a name";
}

/** Formats an offset as --offset takes it. */
const hex = (offset: number): string => `0x${offset.toString(16)}`;

function severalOf({ path, fnName, offset: more }: Named, places: readonly FoundSymbol[]): BpfmanError {
  const functions = places.map(({ name, source, fileOffset }) => ({ name, source, offset: fileOffset + more }));
  const shown = functions.slice(0, LISTED_NAMES_MAX).map(({ name, source, offset }) => {
    const whose = [name === fnName ? null : name, source].filter((word) => word !== null).join(" in ");
    return `--offset ${hex(offset)}${whose === "" ? "" : ` (${whose})`}`;
  });
  const rest = functions.length > shown.length ? `, and ${functions.length - shown.length} more` : "";
  return new BpfmanError("ATTACH_FAILED", `"${path}" has ${functions.length} functions named "${fnName}"`, {
    details: { target: path, function: fnName, functions },
    hint: `choose one by its place in the file, instead of --fn-name: ${shown.join(", ")}${rest}`,
  });
}

/** The dynamic linker calls an indirect function once, to choose which of its implementations the program calls. */
function indirect(host: Host, source: BinaryFile, { path, fnName, offset }: Named): BpfmanError {
  const id = host.files.fileId(source.kernelPath);
  // bpfman has libc and libm too, and the choice depends on the processor alone.
  const here = id === null ? null : host.files.functionHere(fnName, id);
  // The naming convention of C libraries: __strlen_avx2.
  const own = fnName.replace(/@.*$/s, "").replace(/^_+/, "");
  const named = Iterator.from(symbolNames(source))
    .filter((name) => name.replace(/^_+/, "").startsWith(`${own}_`))
    .take(LISTED_NAMES_MAX)
    .toArray();
  const which =
    here !== null
      ? `: --offset ${hex(here + offset)} instead of --fn-name`
      : named.length > 0
        ? `, one of: ${named.join(", ")}`
        : ", by --offset instead of --fn-name: the file does not name it";
  return new BpfmanError(
    "ATTACH_FAILED",
    `"${fnName}" in "${path}" is an indirect function (IFUNC): the code with that name only chooses an implementation`,
    {
      details: { target: path, function: fnName, implementations: named, offset: here },
      hint: `attach to the implementation that this machine uses${which}`,
    },
  );
}

const noProcess = (pid: number): BpfmanError =>
  new BpfmanError("PROCESS_NOT_FOUND", `no process has pid ${pid}`, { details: { pid } });

/** The file of a request, open. Throws TARGET_NOT_FOUND, FILE_UNREADABLE, INVALID_ATTACH, PROCESS_NOT_FOUND. */
function fileOf(host: Host, target: Omit<Wanted, "container">): BinaryFile {
  if (target.pid !== null && !host.files.processExists(target.pid)) throw noProcess(target.pid);
  const container = target.containerPid === null ? null : host.files.containerProcess(target.containerPid);
  if (target.containerPid !== null && container === null) throw noProcess(target.containerPid);
  return openTarget(host, { ...target, container });
}

/** Closes the file if the rest fails; the result closes it otherwise. */
function withFile(file: BinaryFile, work: () => Omit<AttachSpec, "close">): AttachSpec {
  try {
    return { ...work(), close: () => file.close() };
  } catch (cause) {
    file.close();
    throw cause;
  }
}

export const resolveUprobe: Resolve<UprobeTarget> = (host, program, target) => {
  const file = fileOf(host, target);
  return withFile(file, () => {
    const fileOffset = fileOffsetOf(host, file, target);
    const kind = program.type === "uretprobe" ? "uretprobe" : "uprobe";
    const { target: asked, fnName, offset, pid, containerPid } = target;
    const path = file.kernelPath;
    const place = { path, target: asked, fnName, offset, fileOffset, fileId: file.id };
    const details: UprobeDetails = { kind, ...place, pid, containerPid };
    return { details, kernelAttach: () => ({ kind, path, fileOffset, pid }) };
  });
};

type UprobeMultiTarget = Extract<AttachTarget, { kind: "uprobe.multi" }>;

export const resolveUprobeMulti: Resolve<UprobeMultiTarget> = (host, program, request) => {
  const file = fileOf(host, request);
  return withFile(file, () => {
    const { target, fnName: pattern, pid, containerPid } = request;
    const kind = program.type === "uretprobe.multi" ? "uretprobe.multi" : "uprobe.multi";
    const all = () => named(target, () => [...namedFunctions(file)]);
    const found = functionsMatching(all, { pattern, kind, where: `"${target}"` });
    // Several names may stand for one place.
    const offsets = [...new Set(found.map(({ fileOffset }) => fileOffset))];
    const path = file.kernelPath;
    const place = { path, target, fileId: file.id, pid, containerPid };
    const details: UprobeMultiDetails = { kind, ...place, pattern, count: offsets.length };
    return { details, kernelAttach: () => ({ kind, path, offsets, pid }) };
  });
};
