import { type BpfObject, type LogDetail, openObject } from "../../../ffi/safe/bpf-object.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { LogBuffer } from "../../../ffi/safe/log-buffer.ts";
import { LibraryError } from "../../../ffi/safe/library.ts";
import { jitedSizeOf } from "../../../ffi/safe/object-info.ts";
import { VERIFIER_LOG_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { ObjectToLoad, ObjectToVerify, Verification } from "../../platform/kernel.ts";
import { translate } from "../kernel-failure.ts";
import { configureMaps, learnSections, libbpfName, notFound, setType } from "./load-object.ts";

const NONE: ObjectToLoad["reuse"] = new Map();

/**
 * Verifies one program of an object. The statistics cost nothing, so they are all that the first load asks for; the path to
 * a refusal takes a second one.
 */
export function verify(object: ObjectToVerify): Verification {
  const first = attempt(object, "brief");
  if (first.thrown === null) {
    return { type: first.type, refusal: null, statistics: first.log, jitedSize: first.jitedSize };
  }
  if (first.thrown instanceof LibraryError) throw translate(first.thrown, { action: "check", code: "LOAD_FAILED" });
  const refusal = failureOf(object, first);
  if (!(refusal instanceof BpfmanError)) throw refusal;
  return { type: first.type, refusal, statistics: first.log, jitedSize: null };
}

function failureOf(object: ObjectToVerify, { thrown, messages, log }: Outcome): unknown {
  const { loadFailure } = require("../explain/load-failure.ts") as typeof import("../explain/load-failure.ts");
  const { isWhole } = require("../../errors/verifier-log.ts") as typeof import("../../errors/verifier-log.ts");
  const evidence = { ...object, object: object.name, programs: [object.program] };
  // The verifier was not reached: there is no path to show.
  if (log.trim() === "") return loadFailure(thrown, { ...evidence, messages, log: "" });
  const second = attempt(object, "path");
  let path = second.log;
  // Linux before 6.4 keeps the beginning of the log, and newer kernels its end.
  if (sysFailure(second.thrown)?.name === "ENOSPC" && !isWhole(path))
    path = `${path.trimEnd()}\n… (longer than the kernel's limit)\n${log}`;
  else if (path.length >= VERIFIER_LOG_BYTES_MAX - 1) path = `… (longer than the kernel's limit)\n${path}`;
  return loadFailure(thrown, { ...evidence, messages, log: path.trim() === "" ? log : path });
}

interface Outcome {
  readonly type: number;
  /** Null if it was loaded. */
  readonly thrown: unknown;
  readonly messages: readonly string[];
  readonly log: string;
  readonly jitedSize: number;
}

function attempt(object: ObjectToVerify, detail: LogDetail): Outcome {
  const messages: string[] = [];
  let opened: BpfObject | undefined;
  let log: LogBuffer | undefined;
  const held: number[] = [];
  let outcome = { type: 0, jitedSize: 0, thrown: null as unknown };
  try {
    collectMessages(messages, () => {
      learnSections([object.program]);
      opened = openObject(object.bytes, libbpfName(object.name));
      log = new LogBuffer(VERIFIER_LOG_BYTES_MAX);
      const { name } = object.program;
      const program = opened.select([name]).get(name);
      if (program === undefined) throw notFound(object.name, name);
      program.setLog(log, detail);
      setType(program, object.program, held);
      configureMaps(opened, { ...object, reuse: NONE });
      outcome = { ...outcome, type: program.type };
      opened.load();
      outcome = { ...outcome, jitedSize: jitedSizeOf(program.fd()) };
    });
  } catch (thrown) {
    outcome = { ...outcome, thrown };
  }
  try {
    return { ...outcome, messages, log: log?.text() ?? "" };
  } finally {
    opened?.close();
    log?.free();
    held.forEach(closeFd);
  }
}
