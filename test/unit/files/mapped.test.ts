import { expect, test } from "bun:test";
import { parseMaps } from "../../../src/files/mapped.ts";

// Lines as the kernel writes them (fs/proc/task_mmu.c, show_vma_header_prefix: the path is aligned to column 73).
const MAPS = `55d0c8a00000-55d0c8a02000 r--p 00000000 fe:00 1234                       /usr/bin/cat
55d0c8a02000-55d0c8a06000 r-xp 00002000 fe:00 1234                       /usr/bin/cat
55d0c9000000-55d0c9021000 rw-p 00000000 00:00 0                          [heap]
7f1000000000-7f1000001000 r-xp 00000000 fe:00 99                         /opt/my libs/libx.so (deleted)
7f1000001000-7f1000002000 r-xp 00000000 fe:00 98                         /opt/my libs/liby.so
7f1000002000-7f1000003000 r-xp 00000000 fe:00 97                         /opt/two\\012lines.so
7f1000003000-7f1000004000 rw-p 00000000 00:00 0 
7f1000004000-7f1000005000 rw-s 00000000 00:01 7                          /memfd:x (deleted)
7f1000005000-7f1000006000 rw-p 00000000 fe:00 96                         /opt/back\\134slash.so
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

test("paths are taken once each, deleted files and regions without a file left out", () => {
  expect(parseMaps(MAPS)).toEqual([
    { path: "/usr/bin/cat", range: "55d0c8a00000-55d0c8a02000" },
    { path: "/opt/my libs/liby.so", range: "7f1000001000-7f1000002000" },
    { path: "/opt/two\nlines.so", range: "7f1000002000-7f1000003000" },
    { path: "/opt/back\\134slash.so", range: "7f1000005000-7f1000006000" },
  ]);
  // map_files names its links without the zeros that maps puts in front.
  expect(parseMaps("00400000-00401000 r-xp 00000000 fe:00 1 /x\n")).toEqual([{ path: "/x", range: "400000-401000" }]);
  expect(parseMaps("")).toEqual([]);
  expect(parseMaps("nonsense /x\n/y\n")).toEqual([]);
});
