import { readTextSync } from "../../ffi/safe/file-system.ts";
import type { MappedFile } from "../platform/files.ts";

/** proc_pid_maps(5): addresses, permissions, offset, device, inode, and the path to the end of the line. */
const MAPPING = /^([0-9a-f]+-[0-9a-f]+) \S+ [0-9a-f]+ \S+ \d+ +(\/.*)$/;

/**
 * Paths of the files mapped into a process, in the order of their addresses, each once. Files that were deleted are left
 * out: what stands at their path now, if anything, is not what the process runs.
 */
export function mappedFiles(process: string): MappedFile[] {
  try {
    const mapped = parseMaps(readTextSync(`${process}/maps`));
    return mapped.map(({ path, range }) => ({ path, handle: `${process}/map_files/${range}` }));
  } catch {
    return [];
  }
}

/** The paths in the text of a /proc/PID/maps, each with the addresses of its first mapping. */
export function parseMaps(maps: string): { readonly path: string; readonly range: string }[] {
  const ranges = new Map<string, string>();
  for (const line of maps.split("\n")) {
    const [, range, path] = MAPPING.exec(line) ?? [];
    if (range === undefined || path === undefined || path.endsWith(" (deleted)")) continue;
    // The newline is the only character that is escaped here, as \012 (fs/seq_file.c, seq_path with "\n").
    const plain = path.replaceAll("\\012", "\n");
    // map_files writes addresses without leading zeros, maps pads them to eight digits.
    if (!ranges.has(plain)) ranges.set(plain, range.replace(/\b0+(?=[0-9a-f])/g, ""));
  }
  return [...ranges].map(([path, range]) => ({ path, range }));
}
