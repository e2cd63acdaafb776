import { readTextSync } from "../../ffi/safe/file-system.ts";
import { functionAddress } from "../../ffi/safe/libc.ts";
import type { MappedFile } from "../platform/files.ts";

/** proc_pid_maps(5): addresses, permissions, offset, device, inode, and the path up to the end of the line. */
const MAPPING = /^([0-9a-f]+-[0-9a-f]+) \S+ [0-9a-f]+ \S+ \d+ +(\/.*)$/;

/**
 * Returns the paths of the files mapped into a process, by address, without duplicates. Deleted files are omitted: a
 * file that now has the same path is not the one the process runs.
 */
export function mappedFiles(process: string): MappedFile[] {
  try {
    const mapped = parseMaps(readTextSync(`${process}/maps`));
    return mapped.map(({ path, range }) => ({ path, handle: `${process}/map_files/${range}` }));
  } catch {
    return [];
  }
}

/** Returns the offset in its file of the function that a name refers to in this process, if `isWanted` accepts the file. */
export function functionHere(name: string, isWanted: (path: string) => boolean): number | null {
  const address = functionAddress(name);
  if (address === null) return null;
  for (const line of readTextSync("/proc/self/maps").split("\n")) {
    const [, start = "", end = "", offset = "", path] = /^(\w+)-(\w+) \S+ (\w+) \S+ \d+ +(\/.*)$/.exec(line) ?? [];
    const from = Number.parseInt(start, 16);
    if (path === undefined || address < from || address >= Number.parseInt(end, 16)) continue;
    return isWanted(path) ? address - from + Number.parseInt(offset, 16) : null;
  }
  return null;
}

/** Returns the paths in the text of /proc/PID/maps, each with the address range of its first mapping. */
export function parseMaps(maps: string): { readonly path: string; readonly range: string }[] {
  const ranges = new Map<string, string>();
  for (const line of maps.split("\n")) {
    const [, range, path] = MAPPING.exec(line) ?? [];
    if (range === undefined || path === undefined || path.endsWith(" (deleted)")) continue;
    // Newline is the only character escaped here, as \012 (fs/seq_file.c, seq_path with "
    // ").
    const plain = path.replaceAll("\\012", "\n");
    // map_files uses addresses without leading zeros; maps pads them to eight digits.
    if (!ranges.has(plain)) ranges.set(plain, range.replace(/\b0+(?=[0-9a-f])/g, ""));
  }
  return [...ranges].map(([path, range]) => ({ path, range }));
}
