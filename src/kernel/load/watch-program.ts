/** Counts the runs and verdicts of one program with a pair of tracing programs, which end with this process. */
import { createTracingLink } from "../../../ffi/safe/bpf-link.ts";
import { openById } from "../../../ffi/safe/bpf.ts";
import { type BpfObject, openObject } from "../../../ffi/safe/bpf-object.ts";
import { readTextSync } from "../../../ffi/safe/file-system.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { LogBuffer } from "../../../ffi/safe/log-buffer.ts";
import { MapElements } from "../../../ffi/safe/map-elements.ts";
import { programFunction, programInfo } from "../../../ffi/safe/object-info.ts";
import { type ProgramId, programId } from "../../domain/ids.ts";
import { VERIFIER_LOG_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { ProgramWatch, WatchedRuns } from "../../platform/kernel.ts";
import { functionName } from "../explain/kernel-btf.ts";
import { loadFailure } from "../explain/load-failure.ts";
import { attempt } from "../kernel-failure.ts";
import { processorsIn, readBtf } from "../read-info.ts";
import { embeddedObject } from "./embedded.ts";

/** Each of these processors has counts of its own. */
const POSSIBLE = "/sys/devices/system/cpu/possible";
/** The programs of src/dispatcher/bpf/member_watch.bpf.c, in the order in which they are attached. */
const PAIR = [
  { name: "bpfman_enter", attachType: "TRACE_FENTRY" },
  { name: "bpfman_leave", attachType: "TRACE_FEXIT" },
] as const;

/** struct counts of the same file, as 64-bit numbers: runs, time, verdicts, and where a run began. */
const VERDICTS = 11;
const FIRST_VERDICT = 2;
const NUMBERS = FIRST_VERDICT + VERDICTS + 1;
const LOWEST_VERDICT = -1;
const COUNTS_BYTES = 8 * NUMBERS;
const KEY = new Uint8Array(4);

/** Returns the name of the function that a program begins with. Throws NOT_SUPPORTED for a program without BTF. */
function functionOf(id: ProgramId, fd: number): string {
  const { btfId } = programInfo(fd);
  const typeId = btfId === 0 ? null : programFunction(fd);
  const btf = typeId === null ? null : readBtf(btfId);
  const name = typeId === null || btf === null ? null : functionName(btf, typeId);
  if (name !== null) return name;
  throw new BpfmanError("NOT_SUPPORTED", `watch program ${id}: it has no BTF, which names its function`);
}

/** Adds the values of all processors. */
function sum(values: Uint8Array): WatchedRuns {
  const numbers = new BigUint64Array(values.buffer, values.byteOffset, values.byteLength / 8);
  const totals = Array.from({ length: NUMBERS }, () => 0n);
  numbers.forEach((number, at) => {
    totals[at % NUMBERS] = (totals[at % NUMBERS] ?? 0n) + number;
  });
  const verdicts = totals.slice(FIRST_VERDICT, FIRST_VERDICT + VERDICTS).map(Number);
  return {
    runs: Number(totals[0]),
    timeNs: Number(totals[1]),
    verdicts: new Map(verdicts.map((count, at) => [at === VERDICTS - 1 ? null : at + LOWEST_VERDICT, count] as const)),
  };
}

/**
 * Nothing of it is pinned, so nothing is left when this process ends. Returns null if there is no such program. Throws
 * KERNEL_UNSUPPORTED, KERNEL_REFUSED, LOAD_FAILED, VERIFIER_REJECTED, NOT_SUPPORTED.
 */
export async function watchProgram(id: ProgramId): Promise<ProgramWatch | null> {
  const action = `watch program ${id}`;
  const bytes = await embeddedObject("member_watch");
  const target = attempt({ action, code: "KERNEL_CALL_FAILED" }, () => openById("program", id));
  if (target === null) return null;
  const messages: string[] = [];
  const log = new LogBuffer(VERIFIER_LOG_BYTES_MAX);
  const links: number[] = [];
  let object: BpfObject | null = null;
  const close = () => {
    for (const link of links.splice(0)) closeFd(link);
    object?.close();
  };
  try {
    const name = attempt({ action, code: "KERNEL_CALL_FAILED" }, () => functionOf(id, target));
    const opened = collectMessages(messages, () => openObject(bytes, "member_watch"));
    object = opened;
    const both = opened.select(PAIR.map(({ name }) => name));
    const programs = PAIR.map((part) => {
      const program = both.get(part.name);
      if (program === undefined) throw new Error(`the embedded object has no program "${part.name}"`);
      return { ...part, program };
    });
    collectMessages(messages, () => {
      for (const { program, attachType } of programs) {
        program.setLog(log, "whole");
        program.setType("TRACING", attachType);
        program.setAttachTarget({ programFd: target, function: name });
      }
      // Nothing but a few instructions: the signals of a screen that is to be restored need not end the process.
      opened.load({ quick: true });
    });
    const map = opened.maps.find((each) => each.name === "counts")?.fd() ?? null;
    if (map === null) throw new Error('the embedded object has no map "counts"');
    const valueBytes = COUNTS_BYTES * processorsIn(readTextSync(POSSIBLE)).length;
    const elements = new MapElements(map, { keyBytes: KEY.length, valueBytes });
    const attach = { action: `${action}: attach to its function`, code: "ATTACH_FAILED" } as const;
    for (const { program, attachType } of programs) {
      links.push(attempt(attach, () => createTracingLink(program.fd(), attachType)));
    }
    return {
      programs: programs.map(({ program }) => programId(programInfo(program.fd()).id)),
      read: () =>
        attempt({ action: `read the counts of program ${id}`, code: "KERNEL_CALL_FAILED" }, () =>
          sum(elements.lookup(KEY) ?? new Uint8Array()),
        ),
      close,
    };
  } catch (thrown) {
    close();
    if (thrown instanceof BpfmanError) throw thrown;
    const parts = PAIR.map(({ name }) => ({ name, type: null }));
    const failure = loadFailure(thrown, { object: "member_watch", programs: parts, messages, log: log.text() });
    throw failure instanceof BpfmanError ? failure.with({ message: `${action}: ${failure.message}` }) : failure;
  } finally {
    log.free();
    closeFd(target);
  }
}
