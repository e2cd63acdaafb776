/** Real network namespaces and interfaces, with our own names. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { openNetwork } from "../../src/network/open-network.ts";
import { failureOf } from "../expect/failure.ts";

const isRoot = process.geteuid?.() === 0;
const NAME = `bpfman-net-${process.pid}`;
const PATH = `/run/netns/${NAME}`;
const ip = (...words: string[]) => {
  const result = Bun.spawnSync(["ip", ...words], { stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`ip ${words.join(" ")}: ${result.stderr}`);
};

beforeEach(() => {
  if (!isRoot) return;
  ip("netns", "add", NAME);
  ip("-n", NAME, "link", "add", "inside0", "type", "veth", "peer", "name", "inside1");
});
afterEach(() => {
  if (isRoot) ip("netns", "delete", NAME);
});

test.skipIf(!isRoot)("another namespace is looked into, and left again", () => {
  const own = fs.readlinkSync("/proc/thread-self/ns/net");
  const network = openNetwork();
  expect(network.namespaceId(PATH)).toBe(fs.statSync(PATH).ino);
  expect(network.namespaceId(PATH)).not.toBe(network.namespaceId(null));
  expect(
    network
      .interfaces(PATH)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["inside0", "inside1", "lo"]);
  const index = network.findInterface("inside0", PATH)?.ifindex;
  const shown = Bun.spawnSync(["ip", "-n", NAME, "-j", "link", "show", "inside0"]).stdout.toString();
  expect(index).toBe(JSON.parse(shown)[0].ifindex);
  expect(network.findInterface("inside0", null)).toBeNull();
  expect(network.findInterface("eth0", PATH)).toBeNull();
  expect(network.interfaces(null).map(({ name }) => name)).not.toContain("inside0");
  expect(fs.readlinkSync("/proc/thread-self/ns/net")).toBe(own);
});

test.skipIf(!isRoot)("the file of a process serves as well", () => {
  const sleeper = Bun.spawn(["ip", "netns", "exec", NAME, "sleep", "30"]);
  try {
    const path = `/proc/${sleeper.pid}/ns/net`;
    const inode = fs.statSync(PATH).ino;
    for (let tries = 0; tries < 500 && fs.statSync(path).ino !== inode; tries++) Bun.sleepSync(5);
    expect(openNetwork().namespaceId(path)).toBe(inode);
    expect(
      openNetwork()
        .interfaces(path)
        .map(({ name }) => name),
    ).toContain("inside0");
  } finally {
    sleeper.kill();
  }
});

test.skipIf(!isRoot)("a namespace of another type is rejected", () => {
  const error = failureOf(() => openNetwork().interfaces("/proc/self/ns/uts"));
  expect([error.code, error.message, error.sys]).toEqual([
    "NETNS_NOT_FOUND",
    'open network namespace "/proc/self/ns/uts": the file is a namespace, but not a network namespace',
    { call: "setns", errno: 22, name: "EINVAL" },
  ]);
});

test.skipIf(!isRoot)("a bare name that ip-netns knows leads to its path", () => {
  const error = failureOf(() => openNetwork().namespaceId(NAME));
  expect([error.code, error.hint]).toEqual(["NETNS_NOT_FOUND", `did you mean "${PATH}"?`]);
  // So does one that is nearly right, with its directory or without.
  for (const near of [`${NAME}x`, `${PATH}x`]) {
    expect(failureOf(() => openNetwork().namespaceId(near)).hint).toContain(`"${PATH}"`);
  }
  expect(failureOf(() => openNetwork().namespaceId("/nothing-like-it")).hint).toContain("/run/netns/NAME");
});

test.skipIf(!isRoot)("who may not enter is told so", () => {
  const program = `import { openNetwork } from ${JSON.stringify(`${import.meta.dir}/../../src/network/open-network.ts`)};
    try { openNetwork().namespaceId(${JSON.stringify(PATH)}); } catch (error) {
      console.log(JSON.stringify([error.code, error.message, error.sys]));
    }`;
  const bounded = [
    "setpriv",
    "--bounding-set",
    "-sys_admin",
    "--inh-caps",
    "-sys_admin",
    process.execPath,
    "-e",
    program,
  ];
  const result = Bun.spawnSync(bounded, { stdout: "pipe", stderr: "pipe" });
  expect(JSON.parse(result.stdout.toString() || "[]")).toEqual([
    "PERMISSION_DENIED",
    expect.stringContaining(`enter network namespace "${PATH}": it needs CAP_SYS_ADMIN`),
    null,
  ]);
});
