/** What can be tested about pins without a BPF file system; test/kernel/pins.test.ts has the rest. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { openPins } from "../../../src/bpffs/open-pins.ts";
import { linkId, programId } from "../../../src/domain/ids.ts";
import { failureOf } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const pins = () => openPins(directory.path("run/fs"));

test("the layout", () => {
  const { paths } = openPins("/run/bpfman/fs");
  expect([
    paths.root,
    paths.program(programId(5)),
    paths.mapDirectory(programId(5)),
    paths.map(programId(5), "counters"),
    paths.sharedMap("shared_state"),
    paths.link(linkId(7)),
  ]).toEqual([
    "/run/bpfman/fs",
    "/run/bpfman/fs/prog_5",
    "/run/bpfman/fs/maps/5",
    "/run/bpfman/fs/maps/5/counters",
    "/run/bpfman/fs/shared/shared_state",
    "/run/bpfman/fs/links/7",
  ]);
});

test("map names that are not file names are rejected, up to 255 bytes are fine", () => {
  const { paths } = pins();
  const tooLong = "é".repeat(128);
  for (const name of [
    "",
    ".",
    "..",
    "../../etc/x",
    "a/b",
    ".rodata",
    "a.b",
    "nul\0",
    "line\n",
    tooLong,
    "x".repeat(256),
  ]) {
    for (const path of [() => paths.map(programId(5), name), () => paths.sharedMap(name)]) {
      const error = failureOf(path);
      expect([error.code, error.details]).toEqual(["INVALID_OBJECT", { map: name }]);
    }
  }
  for (const name of ["a", "x".repeat(255), "é".repeat(127), "with space", "a$b-c"]) {
    expect(paths.sharedMap(name)).toBe(`${directory.path("run/fs/shared")}/${name}`);
  }
});

test("without a mount there is nothing to see, and looking creates nothing", () => {
  const port = pins();
  expect(port.list(port.paths.root)).toEqual([]);
  expect(port.list(`${port.paths.root}/links`)).toEqual([]);
  expect(port.exists(port.paths.link(linkId(1)))).toBe(false);
  expect(port.remove(port.paths.link(linkId(1)))).toBe(false);
  expect(port.removeDirectory(port.paths.mapDirectory(programId(1)))).toBe(false);
  expect(fs.readdirSync(directory.path())).toEqual([]);
});

test("files of an ordinary directory are not pins", () => {
  fs.mkdirSync(directory.path("run/fs/links"), { recursive: true });
  fs.writeFileSync(directory.path("run/fs/links/1"), "");
  expect(pins().list(directory.path("run/fs/links"))).toEqual([]);
});

test("nothing outside the root is removed or created", () => {
  fs.writeFileSync(directory.path("precious"), "");
  const root = directory.path("run/fs");
  for (const path of [directory.path("precious"), `${root}/../../precious`, root, `${root}x/a`, "relative"]) {
    const port = pins();
    for (const change of [() => port.remove(path), () => port.removeDirectory(path), () => port.makeDirectory(path)]) {
      const error = failureOf(change);
      expect([error.code, error.details]).toEqual(["STATE_CONFLICT", { path, root }]);
    }
  }
  expect(fs.existsSync(directory.path("precious"))).toBe(true);
});
