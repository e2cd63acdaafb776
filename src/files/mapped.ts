import * as fs from "node:fs";

/** proc_pid_maps(5): address, permissions, offset, device, inode, and the path to the end of the line. */
const MAPPING = /^[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ \S+ \d+ +(\/.*)$/;

/**
 * Paths of the files mapped into a process, in the order of their addresses, each once. Files that were deleted are left
 * out: what stands at their path now, if anything, is not what the process runs.
 */
export function mappedFiles(pid: number): string[] {
  try {
    return mappedPaths(fs.readFileSync(`/proc/${pid}/maps`, "utf8"));
  } catch {
    return [];
  }
}

/** The paths in the text of a /proc/PID/maps. */
export function mappedPaths(maps: string): string[] {
  const paths = new Set<string>();
  for (const line of maps.split("\n")) {
    const path = MAPPING.exec(line)?.[1];
    if (path === undefined || path.endsWith(" (deleted)")) continue;
    // The newline is the only character that is escaped here, as \012 (fs/seq_file.c, seq_path with "\n").
    paths.add(path.replaceAll("\\012", "\n"));
  }
  return [...paths];
}
