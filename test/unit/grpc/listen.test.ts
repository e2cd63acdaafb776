/** Sockets and their rights, on the real file system. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { groupId, isActivated, listenAt } from "../../../src/grpc/listen.ts";

let directory = "";
const servers: Server[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-listen-"));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(directory, { recursive: true, force: true });
});

function server(): Server {
  const made = createServer();
  servers.push(made);
  return made;
}
const gid = process.getgid?.() ?? 0;
const at = (name: string, mode = 0o660) => ({ path: join(directory, name), mode, gid });

test("a socket gets its mode whatever the umask is, and leaves nothing beside it", async () => {
  const before = process.umask(0);
  try {
    await listenAt(server(), at("a/b/x.sock"));
    process.umask(0o777);
    await listenAt(server(), at("y.sock", 0o600));
  } finally {
    process.umask(before);
  }
  expect(statSync(join(directory, "a/b/x.sock")).mode & 0o777).toBe(0o660);
  expect(statSync(join(directory, "y.sock")).mode & 0o777).toBe(0o600);
  // The directory made under a umask of 0 is not open to everybody.
  expect(statSync(join(directory, "a/b")).mode & 0o777).toBe(0o755);
  expect(readdirSync(join(directory, "a/b"))).toEqual(["x.sock"]);
});

test("a socket that nobody serves on is replaced, and one that is served on is left alone", async () => {
  const made = at("x.sock");
  // What a killed process leaves.
  const dead = Bun.spawnSync([
    process.execPath,
    "-e",
    `require("node:net").createServer().listen(${JSON.stringify(made.path)}, () => process.kill(process.pid, "SIGKILL"))`,
  ]);
  expect(dead.signalCode).toBe("SIGKILL");
  expect(lstatSync(made.path).isSocket()).toBe(true);
  await listenAt(server(), made);
  const { ino } = lstatSync(made.path);
  await expect(listenAt(server(), made)).rejects.toMatchObject({ code: "SOCKET_IN_USE" });
  expect(lstatSync(made.path).ino).toBe(ino);
  expect(readdirSync(directory)).toEqual(["x.sock"]);
});

test("what is no socket is left alone", async () => {
  writeFileSync(join(directory, "x.sock"), "mine");
  await expect(listenAt(server(), at("x.sock"))).rejects.toMatchObject({
    code: "IO_FAILED",
    message: expect.stringContaining("a file that is not a socket"),
  });
  expect(readFileSync(join(directory, "x.sock"), "utf8")).toBe("mine");
});

test("of several that start at once on what a killed one left, one serves", async () => {
  const made = at("x.sock");
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen(join(directory, "dead"), resolve));
  linkSync(join(directory, "dead"), made.path);
  await new Promise((resolve) => dead.close(resolve));
  const started = await Promise.allSettled(Array.from({ length: 8 }, () => listenAt(server(), made)));
  const failures = started.flatMap((each) => (each.status === "rejected" ? each.reason.code : []));
  expect(failures).toEqual(Array.from({ length: 7 }, () => "SOCKET_IN_USE"));
  await expect(listenAt(server(), made)).rejects.toMatchObject({ code: "SOCKET_IN_USE" });
  expect(readdirSync(directory)).toEqual(["x.sock"]);
});

test("nobody can connect before it has its rights", async () => {
  const before = process.umask(0);
  const seen: number[] = [];
  const watched = server();
  watched.once("listening", () => {
    for (const name of readdirSync(directory)) seen.push(lstatSync(join(directory, name)).mode & 0o777);
  });
  try {
    await listenAt(watched, at("x.sock"));
  } finally {
    process.umask(before);
  }
  expect(seen).toEqual([0o700]);
});

test("it is not made in a directory that others can change, or below a file", async () => {
  chmodSync(directory, 0o777);
  const { message, hint } = await listenAt(server(), at("x.sock")).then(
    () => ({ message: "", hint: "" }),
    (thrown) => thrown,
  );
  expect([message, hint]).toEqual([
    `serve in "${directory}": other users can write to it (mode 777)`,
    `chmod go-w "${directory}", or give a path elsewhere`,
  ]);
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, "file"), "");
  await expect(listenAt(server(), at("file/x.sock"))).rejects.toMatchObject({
    code: "IO_FAILED",
    message: expect.stringContaining("there is a file where a directory should be"),
  });
  mkdirSync(join(directory, "more"));
  await expect(listenAt(server(), at("more"))).rejects.toMatchObject({
    message: expect.stringContaining("there is a directory"),
  });
  expect(readdirSync(directory).sort()).toEqual(["file", "more"]);
});

test("a path that is too long says how long it may be", async () => {
  const long = "x".repeat(120);
  await expect(listenAt(server(), at(long))).rejects.toMatchObject({
    code: "INVALID_REQUEST",
    message: expect.stringMatching(/more than \d+ bytes$/),
  });
});

test("its removal spares a socket that has its place by now", async () => {
  const first = await listenAt(server(), at("x.sock"));
  rmSync(join(directory, "x.sock"));
  const second = await listenAt(server(), at("x.sock"));
  first.remove();
  expect(readdirSync(directory)).toEqual(["x.sock"]);
  second.remove();
  expect(readdirSync(directory)).toEqual([]);
  second.remove();
});

test("a failure leaves nothing", async () => {
  chmodSync(directory, 0o755);
  await expect(listenAt(server(), { ...at("x.sock"), gid: -7 })).rejects.toMatchObject({ code: "IO_FAILED" });
  expect(readdirSync(directory)).toEqual([]);
});

test("systemd's variables count for the process that they name", () => {
  const own = { LISTEN_PID: String(process.pid) };
  expect(isActivated({})).toBe(false);
  expect(isActivated({ ...own, LISTEN_FDS: "1" })).toBe(true);
  expect(isActivated({ ...own, LISTEN_FDS: "0" })).toBe(false);
  expect(isActivated({ LISTEN_PID: "1", LISTEN_FDS: "1" })).toBe(false);
  expect(() => isActivated({ ...own, LISTEN_FDS: "2" })).toThrow("it passed on 2");
});

test("groups are found by name and number", () => {
  expect(groupId("root")).toBe(0);
  expect(groupId("4711")).toBe(4711);
  // The kernel's (gid_t)-1 stands for none.
  expect(groupId("4294967295")).toBeNull();
  expect(groupId("no-such-group")).toBeNull();
  expect(groupId("roo")).toBeNull();
});
