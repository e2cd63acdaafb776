/**
 * Space kept for removals. On a full disk, they need some as well: rows are deleted by writing to the WAL, and a
 * checkpoint can make the database grow. A file of its own takes that space up until a removal needs it.
 */
import * as fs from "../../ffi/safe/file-system.ts";
import { RESERVE_BYTES, RESERVE_STEP_BYTES } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";

/** Most bytes that `crypto.getRandomValues` makes at once. */
const CHUNK_BYTES = 65_536;

export interface Reserve {
  /**
   * Called by each writer: makes the reserve, or completes it, unless the disk would be nearly full with it. Of a small disk, it
   * takes up to half of what is free. Returns whether the disk is nearly full.
   */
  keep(): boolean;
  /**
   * Gives a part of the space to the operation if the disk is nearly full. If the command is killed, others may take that
   * part, so it is a small one.
   */
  release(): void;
  /** Takes back what is left at the end of the operation. */
  takeBack(): void;
}

/** For the database at that path. Nothing here fails: without the reserve, removals work unless the disk is full. */
export function reserveOf(path: string): Reserve {
  const file = `${path}-reserve`;
  const size = (): number => fs.lstatSync(file)?.size ?? 0;
  let given = 0;
  return {
    keep() {
      let room = RESERVE_BYTES;
      quietly(() => {
        room = available(path);
        const kept = size();
        const missing = Math.min(RESERVE_BYTES, Math.floor((room + kept) / 2)) - kept;
        if (missing <= 0 || room - missing < RESERVE_STEP_BYTES / 2) return;
        grow(file, missing);
        room -= missing;
      });
      return room < RESERVE_STEP_BYTES;
    },
    release() {
      quietly(() => {
        const kept = size();
        if (kept === 0 || available(path) >= RESERVE_STEP_BYTES) return;
        given = Math.min(kept, RESERVE_STEP_BYTES);
        withFile(file, (fd) => fs.ftruncateSync(fd, kept - given));
      });
    },
    takeBack() {
      if (given > 0) quietly(() => grow(file, Math.min(given, available(path))));
      given = 0;
    },
  };
}

/**
 * Opens the database, which takes space itself: the first process makes the WAL's index anew. If there is none left, uses
 * the reserve for it.
 */
export function withReserve<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || thrown.code !== "IO_FAILED") throw thrown;
    const reserve = reserveOf(path);
    reserve.release();
    try {
      return open();
    } finally {
      reserve.takeBack();
    }
  }
}

function available(path: string): number {
  const { blockBytes, freeBlocks } = fs.statfsSync(path);
  return blockBytes * freeBlocks;
}

/** Appends random bytes, because a file system may store others in less space. */
function grow(file: string, bytes: number): void {
  withFile(file, (fd) => {
    for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
      fs.writeSync(fd, crypto.getRandomValues(new Uint8Array(Math.min(left, CHUNK_BYTES))));
    }
  });
}

function withFile(file: string, work: (fd: number) => void): void {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    work(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // The disk is full already, or the file is not ours to write.
  }
}
