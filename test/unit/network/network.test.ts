/** Files that are not namespaces; test/kernel/network.test.ts has real namespaces. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { openNetwork } from "../../../src/network/open-network.ts";
import { failureOf } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();

test("this process's own namespace", () => {
  const network = openNetwork();
  expect(network.namespaceId(null)).toBe(fs.statSync("/proc/self/ns/net").ino);
  expect(network.interfaces(null)).toContainEqual({ ifindex: 1, name: "lo", alternativeNames: [] });
  expect(network.findInterface("lo", null)).toEqual({ ifindex: 1, name: "lo", alternativeNames: [] });
  for (const name of ["no_such_if", "", "a name that is longer than an interface's", "x".repeat(500), "lo ", "lo\0"]) {
    expect(network.findInterface(name, null)).toBeNull();
  }
});

test("what is not a namespace is rejected, naming path and reason", () => {
  fs.writeFileSync(directory.path("file"), "");
  Bun.spawnSync(["mkfifo", directory.path("fifo")]);
  for (const [path, reason] of [
    [directory.path("missing"), "there is no such file"],
    [directory.path("file/x"), "there is no such file"],
    [directory.path("file"), "the file is not a namespace"],
    [directory.path("fifo"), "the file is not a namespace"],
    [directory.path(), "the file is not a namespace"],
    ["/proc/self/status", "the file is not a namespace"],
  ] as const) {
    const network = openNetwork();
    const calls = [
      () => network.namespaceId(path),
      () => network.findInterface("lo", path),
      () => network.interfaces(path),
    ];
    for (const call of calls) {
      const error = failureOf(call);
      expect([error.code, error.message]).toEqual(["NETNS_NOT_FOUND", `open network namespace "${path}": ${reason}`]);
      expect(error.details).toEqual({ netns: path });
    }
  }
});
