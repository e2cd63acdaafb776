/**
 * Images that were pulled, in a folder of root's:
 *
 *     blobs/sha256/HEX        manifests, configurations, layers, by their digest
 *     references/HEX.json     what a reference stood for, by the digest of its text
 *     new/PID-START-ID        what is being written
 *
 * A file gets its name when it is whole, so writers need no lock; whoever reads checks the digest, so a file that was
 * damaged counts as missing and is written again.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { LAYER_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";
import { isDigest } from "./reference.ts";
import { digestOf } from "./digest.ts";
import { recordOf } from "./manifest.ts";
import type { Digest } from "./repository.ts";

/** What a reference stood for when it was last asked about. */
export interface Resolved {
  readonly digest: Digest;
  /** The rules it was accepted under ({@link ImageVerifier.policy}). */
  readonly rules: string;
}

export interface Cache {
  /** Null when it is not there or damaged. */
  blob(digest: Digest): Uint8Array | null;
  saveBlob(digest: Digest, bytes: Uint8Array): void;
  /** Null when the reference was never pulled. */
  resolved(reference: string): Resolved | null;
  saveResolved(reference: string, resolved: Resolved): void;
}

/** Makes nothing before something is saved. Every method throws IO_FAILED, or STATE_CONFLICT for a folder of others. */
export function openCache(folder: string): Cache {
  const blobPath = (digest: Digest) => join(folder, "blobs", digest.replace(":", "/"));
  const referencePath = (reference: string) =>
    join(folder, "references", `${digestOf(Buffer.from(reference)).slice("sha256:".length)}.json`);
  let checked = false;
  let swept = false;

  /** The bytes of a file; null when there is none. */
  function read(path: string): Uint8Array | null {
    checked ||= checkOwner(folder);
    if (!checked) return null;
    let fd: number | null = null;
    try {
      fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
      // One that is larger than anything we save is not what we saved.
      return fs.fstatSync(fd).size > LAYER_BYTES_MAX ? null : fs.readFileSync(fd);
    } catch (thrown) {
      if (errnoName(thrown) === "ENOENT") return null;
      throw failed("read", path, thrown);
    } finally {
      if (fd !== null) fs.closeSync(fd);
    }
  }

  function save(path: string, bytes: Uint8Array): void {
    const drafts = join(folder, "new");
    try {
      for (const each of [drafts, join(path, "..")]) fs.mkdirSync(each, { recursive: true, mode: 0o700 });
      checked ||= checkOwner(folder);
      if (!swept) sweep(drafts);
      swept = true;
      const draft = join(drafts, `${process.pid}-${startOf(process.pid)}-${crypto.randomUUID()}`);
      try {
        fs.writeFileSync(draft, bytes, { mode: 0o600, flag: "wx" });
        fs.renameSync(draft, path);
      } catch (thrown) {
        fs.rmSync(draft, { force: true });
        throw thrown;
      }
    } catch (thrown) {
      throw thrown instanceof BpfmanError ? thrown : failed("save", path, thrown);
    }
  }

  return {
    blob(digest) {
      const bytes = read(blobPath(digest));
      return bytes === null || digestOf(bytes) !== digest ? null : bytes;
    },
    saveBlob: (digest, bytes) => save(blobPath(digest), bytes),
    resolved(reference) {
      const bytes = read(referencePath(reference));
      if (bytes === null) return null;
      const { reference: of, digest, rules } = parsed(bytes);
      if (of !== reference || typeof digest !== "string" || !isDigest(digest) || typeof rules !== "string") return null;
      return { digest, rules };
    },
    saveResolved(reference, { digest, rules }) {
      save(referencePath(reference), Buffer.from(`${JSON.stringify({ reference, digest, rules })}\n`));
    },
  };
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return recordOf(JSON.parse(Buffer.from(bytes).toString())) ?? {};
  } catch {
    return {};
  }
}

/**
 * Who can write here decides what a tag stands for. False when there is no folder yet. Throws STATE_CONFLICT when it is
 * somebody else's.
 */
function checkOwner(folder: string): boolean {
  const stat = fs.statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  const own = stat.uid === process.geteuid?.() || stat.uid === 0;
  if (stat.isDirectory() && own && (stat.mode & 0o022) === 0) return true;
  const reason = !stat.isDirectory()
    ? "it is no folder"
    : own
      ? "others may write in it"
      : `it belongs to user ${stat.uid}`;
  throw new BpfmanError("STATE_CONFLICT", `use the image cache "${folder}": ${reason}`, {
    details: { path: folder },
    hint: "give a folder of your own with --cache-dir; bpfman makes it when it is missing",
  });
}

/** Removes what processes left that are no more. */
function sweep(drafts: string): void {
  for (const name of fs.readdirSync(drafts)) {
    const [pid = "", start = ""] = name.split("-");
    if (start === "" || startOf(Number(pid)) !== start) fs.rmSync(join(drafts, name), { force: true });
  }
}

/** When a process began, in ticks since the boot (proc_pid_stat(5), field 22); empty when it is not there. */
function startOf(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses, which may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function failed(action: "read" | "save", path: string, thrown: unknown): BpfmanError {
  const name = errnoName(thrown);
  const full = name === "ENOSPC" || name === "EDQUOT";
  const reason = full ? "the disk is full" : reasonOf(thrown);
  return new BpfmanError("IO_FAILED", `${action} "${path}" in the image cache: ${reason}`, {
    details: { path },
    ...(full ? { hint: "make room, or put the cache elsewhere with --cache-dir" } : {}),
    ...sysPart(thrown),
    cause: thrown,
  });
}
