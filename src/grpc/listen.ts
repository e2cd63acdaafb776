/** Unix sockets to serve on: made where nobody can connect before their rights are set, or taken from systemd. */
import {
  chmodSync,
  chownSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { GROUP_ID_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName, ioFailure, sysFailure } from "../errors/sys-failure.ts";

/** The first descriptor that systemd passes on (sd_listen_fds(3)). */
const LISTEN_FDS_START = 3;
/** Bytes of `sun_path` (unix(7)), less the NUL that ends it. */
const SOCKET_PATH_BYTES_MAX = 107;

export interface SocketOptions {
  /** A directory that is missing is made. */
  readonly path: string;
  readonly mode: number;
  /** Its group besides root. */
  readonly gid: number;
}

/** A socket that is being served on. */
export interface Listening {
  /** Removes the socket, unless another one has its place by now. */
  remove(): void;
}

/**
 * Makes a socket and listens. A socket there that nobody serves on is replaced. Throws SOCKET_IN_USE, IO_FAILED,
 * INVALID_REQUEST.
 */
export async function listenAt(server: Server, { path, mode, gid }: SocketOptions): Promise<Listening> {
  const longest = SOCKET_PATH_BYTES_MAX - DRAFT_BYTES;
  if (Buffer.byteLength(path) > longest) {
    throw new BpfmanError("INVALID_REQUEST", `serve on "${path}": the path has more than ${longest} bytes`, {
      details: { path },
      hint: "give a shorter path",
    });
  }
  let draft: string | null = null;
  try {
    const directory = dirname(path);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    // Whoever can change it could have the rights of any file changed in place of the socket's.
    requireOwn({ ...OWNED, path: directory }, statSync(directory));
    const dead = await deadSocketAt(path);
    draft = mkdtempSync(`${path}.`);
    const made = `${draft}/s`;
    await listening(server, { path: made });
    // Until here, only root could connect: nobody else can enter its directory.
    chownSync(made, 0, gid);
    chmodSync(made, mode);
    if (dead !== null) remove(dead, path, `${draft}/dead`);
    linkSync(made, path);
    const own = lstatSync(made);
    return { remove: () => removeOwn(path, own) };
  } catch (thrown) {
    server.close();
    if (sysFailure(thrown)?.call === "link" && errnoName(thrown) === "EEXIST") throw inUse(path);
    throw ioFailure(thrown, { action: "serve on", path, code: "IO_FAILED" });
  } finally {
    if (draft !== null) rmSync(draft, { recursive: true, force: true });
  }
}

/** What is added to a path for the socket before it has its rights: `.`, six letters that are random, `/s`. */
const DRAFT_BYTES = 9;
const OWNED = { action: "serve in", kind: "directory", code: "IO_FAILED", otherwise: "give a path elsewhere" } as const;

const inUse = (path: string): BpfmanError =>
  new BpfmanError("SOCKET_IN_USE", `serve on "${path}": another process does`, { details: { path } });

/**
 * Removes a socket by moving it to `away`. If another process that started at the same time has put its own there, it gets
 * it back. Throws SOCKET_IN_USE then.
 */
function remove(dead: Stats, path: string, away: string): void {
  try {
    renameSync(path, away);
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") return;
    throw thrown;
  }
  if (isSame(lstatSync(away), dead)) return;
  linkSync(away, path);
  throw inUse(path);
}

const isSame = (one: Stats, other: Stats): boolean => one.ino === other.ino && one.dev === other.dev;

/** What systemd passed on to this process (sd_listen_fds(3)), and to none that it started before. */
export type Activation = Readonly<Record<string, string | undefined>>;

/** Whether systemd passed on a socket. Throws INVALID_REQUEST for several. */
export function isActivated({ LISTEN_PID, LISTEN_FDS }: Activation): boolean {
  if (LISTEN_PID !== String(process.pid) || LISTEN_FDS === undefined || LISTEN_FDS === "0") return false;
  if (LISTEN_FDS === "1") return true;
  throw new BpfmanError("INVALID_REQUEST", `serve on the socket of systemd: it passed on ${LISTEN_FDS}`, {
    details: { field: "LISTEN_FDS" },
    hint: "have one ListenStream in the socket unit",
  });
}

/** Listens on the socket that systemd passed on, and keeps. Throws IO_FAILED. */
export async function listenOnPassed(server: Server): Promise<Listening> {
  try {
    // Else it would take over a descriptor of its own runtime.
    if (!isListening(LISTEN_FDS_START)) throw new Error("descriptor 3 is no Unix socket that listens");
    await listening(server, { fd: LISTEN_FDS_START });
    return { remove: () => {} };
  } catch (thrown) {
    throw ioFailure(thrown, { action: "serve on", path: "the socket of systemd", code: "IO_FAILED" });
  }
}

/** The flag of sockets that listen, in /proc/net/unix (__SO_ACCEPTCON, include/linux/net.h). */
const ACCEPTS = "00010000";

function isListening(fd: number): boolean {
  try {
    const { ino } = fstatSync(fd);
    const sockets = readFileSync("/proc/net/unix", "utf8").split("\n");
    return sockets.some((line) => {
      const [, , , flags, , , inode] = line.split(/ +/);
      return flags === ACCEPTS && inode === String(ino);
    });
  } catch (thrown) {
    if (errnoName(thrown) === "EBADF") return false;
    throw thrown;
  }
}

function listening(server: Server, where: { readonly path: string } | { readonly fd: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(where, () => {
    server.off("error", reject);
    resolve();
  });
  return promise;
}

/** A socket that nobody serves on; null if nothing is there. Throws SOCKET_IN_USE, and IO_FAILED if something else is. */
async function deadSocketAt(path: string): Promise<Stats | null> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return null;
  if (!there.isSocket()) {
    throw ioFailure(`there is a ${there.isDirectory() ? "directory" : "file that is not a socket"}`, {
      ...{ action: "serve on", path, code: "IO_FAILED" },
      hint: "remove it, or give another path",
    });
  }
  if (await isServed(path)) throw inUse(path);
  return there;
}

function isServed(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const client = connect(path);
  client.once("connect", () => resolve(true));
  // Only this says that nobody listens; when the queue of a busy server is full, for example, somebody does.
  client.once("error", (error) => resolve(!["ECONNREFUSED", "ENOENT"].includes(errnoName(error) ?? "")));
  return promise.finally(() => client.destroy());
}

function removeOwn(path: string, own: Stats): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && isSame(there, own)) rmSync(path, { force: true });
}

const GROUP_FILE = "/etc/group";

/** The number of a group of /etc/group, or a number itself; null if there is none. Throws IO_FAILED. */
export function groupId(name: string): number | null {
  if (/^\d+$/.test(name)) return Number(name) <= GROUP_ID_MAX ? Number(name) : null;
  let groups = "";
  try {
    groups = readFileSync(GROUP_FILE, "utf8");
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") return null;
    throw ioFailure(thrown, { action: "read", path: GROUP_FILE, code: "IO_FAILED" });
  }
  const line = groups.split("\n").find((each) => each.startsWith(`${name}:`));
  const gid = Number(line?.split(":")[2]);
  return Number.isInteger(gid) && line !== undefined ? gid : null;
}
