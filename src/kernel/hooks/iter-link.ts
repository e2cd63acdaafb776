import { readSync } from "node:fs";
import { withObject } from "../../../ffi/safe/bpf.ts";
import { createIteratorLink, openIterator as openIteratorFd } from "../../../ffi/safe/bpf-link.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { ITERATOR_CHUNK_BYTES } from "../../domain/limits.ts";
import type { Pin } from "../../domain/pin.ts";
import { BpfmanError, type SysFailure } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { IteratorOutput, KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { withPinned } from "../pin.ts";

export type IterAttach = Extract<KernelAttach, { kind: "iter" }>;

function explain(sys: SysFailure, { target, mapId }: IterAttach): Meaning | null {
  switch (sys.name) {
    case "EBADF":
    case "EINVAL":
      return mapId === null
        ? {
            code: "INVALID_ATTACH",
            reason: `the kernel does not visit "${target}" without being told whose`,
            hint: "name the map whose entries the program visits: --map MAP",
          }
        : {
            code: "INVALID_ATTACH",
            reason: `the program does not visit the entries of map ${mapId}: "${target}" takes other maps, or none`,
          };
    case "EACCES":
      return {
        code: "INVALID_ATTACH",
        reason: `the program reads or writes more of a key or value than map ${mapId} has`,
      };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws INVALID_ATTACH, MAP_NOT_FOUND, ATTACH_FAILED. */
export function attachIter(program: number, attach: IterAttach): number {
  const { target, mapId } = attach;
  const create = (map: number | null): number =>
    attempt(
      { action: `attach to iterator "${target}"`, code: "ATTACH_FAILED", explain: (sys) => explain(sys, attach) },
      () => createIteratorLink(program, map),
    );
  const link = mapId === null ? create(null) : withObject("map", mapId, create);
  if (link === null) {
    throw new BpfmanError("MAP_NOT_FOUND", `map ${mapId} does not exist any more`, { details: { map_id: mapId } });
  }
  return link;
}

/** Begins to run the program of a pinned link. Throws STATE_CONFLICT, KERNEL_CALL_FAILED. */
export function openIterator(pin: Pin): IteratorOutput {
  const action = `read the iterator "${pin.path}"`;
  const fd = withPinned(action, pin, (link) =>
    attempt({ action, code: "KERNEL_CALL_FAILED" }, () => openIteratorFd(link)),
  );
  const chunk = Buffer.alloc(ITERATOR_CHUNK_BYTES);
  return {
    read: () =>
      attempt({ action, code: "KERNEL_CALL_FAILED" }, () => {
        try {
          const count = readSync(fd, chunk, 0, chunk.length, null);
          return count === 0 ? null : chunk.subarray(0, count);
        } catch (thrown) {
          // After a million objects without output, the kernel wants to be asked again.
          if (sysFailure(thrown)?.name !== "EAGAIN") throw thrown;
          return chunk.subarray(0, 0);
        }
      }),
    close: () => closeFd(fd),
  };
}
