/**
 * Cache of pulled images, in a directory that belongs to root:
 *
 *     blobs/sha256/HEX        manifests, configurations and layers, by digest
 *     references/HEX.json     what a reference resolved to, by the digest of its text
 *     new/PID-START-ID        files being written
 *
 * Files are renamed to their final name when complete, so writers need no lock. Readers verify the digest, so a damaged
 * file counts as missing and is written again.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { LAYER_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";
import { isDigest } from "./reference.ts";
import { type Digest, digestOf } from "./repository.ts";
import { recordOf } from "./manifest.ts";
import { inOwnDirectory } from "./own-directory.ts";

/** What a reference resolved to when it was last looked up. */
export interface Resolved {
  readonly digest: Digest;
  /** The rules under which it was accepted ({@link ImageVerifier.policy}). */
  readonly rules: string;
}

export interface Cache {
  /** Returns null if it is missing or damaged. */
  blob(digest: Digest): Uint8Array | null;
  saveBlob(digest: Digest, bytes: Uint8Array): void;
  /** Returns null if the reference was never pulled. */
  resolved(reference: string): Resolved | null;
  saveResolved(reference: string, resolved: Resolved): void;
}

/** Location of a file in the cache. */
interface Place {
  /** Directories below the cache directory. */
  readonly names: readonly string[];
  readonly file: string;
}

/**
 * Creates nothing until something is saved. Every method throws IO_FAILED, or STATE_CONFLICT if others own the
 * directory.
 */
export function openCache(directory: string): Cache {
  const blobPlace = (digest: Digest): Place => {
    const [algorithm = "", hex = ""] = digest.split(":");
    return { names: ["blobs", algorithm], file: hex };
  };
  const referencePlace = (reference: string): Place => ({
    names: ["references"],
    file: `${digestOf(Buffer.from(reference)).slice("sha256:".length)}.json`,
  });
  let swept = false;

  /** Reads a file; returns null if it does not exist. */
  function read({ names, file }: Place): Uint8Array | null {
    let fd: number | null = null;
    try {
      return inOwnDirectory({ root: directory, names, make: false }, (path) => {
        fd = fs.openSync(join(path, file), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
        // A file larger than anything bpfman saves was not written by bpfman.
        return fs.fstatSync(fd).size > LAYER_BYTES_MAX ? null : fs.readFileSync(fd);
      });
    } catch (thrown) {
      if (thrown instanceof BpfmanError) throw thrown;
      throw failed("read", join(directory, ...names, file), thrown);
    } finally {
      if (fd !== null) fs.closeSync(fd);
    }
  }

  function save({ names, file }: Place, bytes: Uint8Array): void {
    try {
      inOwnDirectory({ root: directory, names, make: true }, (path) =>
        inOwnDirectory({ root: directory, names: ["new"], make: true }, (drafts) => {
          if (!swept) sweep(drafts);
          swept = true;
          const draft = join(drafts, `${process.pid}-${startOf(process.pid)}-${crypto.randomUUID()}`);
          try {
            fs.writeFileSync(draft, bytes, { mode: 0o600, flag: "wx" });
            fs.renameSync(draft, join(path, file));
          } catch (thrown) {
            fs.rmSync(draft, { force: true });
            throw thrown;
          }
        }),
      );
    } catch (thrown) {
      throw thrown instanceof BpfmanError ? thrown : failed("save", join(directory, ...names, file), thrown);
    }
  }

  return {
    blob(digest) {
      const bytes = read(blobPlace(digest));
      return bytes === null || digestOf(bytes) !== digest ? null : bytes;
    },
    saveBlob: (digest, bytes) => save(blobPlace(digest), bytes),
    resolved(reference) {
      const bytes = read(referencePlace(reference));
      if (bytes === null) return null;
      const { reference: of, digest, rules } = parsed(bytes);
      if (of !== reference || typeof digest !== "string" || !isDigest(digest) || typeof rules !== "string") return null;
      return { digest, rules };
    },
    saveResolved(reference, { digest, rules }) {
      save(referencePlace(reference), Buffer.from(`${JSON.stringify({ reference, digest, rules })}\n`));
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

/** Removes files left behind by processes that have exited. */
function sweep(drafts: string): void {
  for (const name of fs.readdirSync(drafts)) {
    const [pid = "", start = ""] = name.split("-");
    if (start === "" || startOf(Number(pid)) !== start) fs.rmSync(join(drafts, name), { force: true });
  }
}

/**
 * Returns when a process started, in clock ticks since boot (proc_pid_stat(5), field 22); empty if it does not exist.
 */
function startOf(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command name in parentheses, which may contain anything.
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
