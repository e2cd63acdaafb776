import { type BpfObject, type BpfProgram, type LogDetail, openObject } from "../../../ffi/safe/bpf-object.ts";
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
 * Verifies programs of an object. The statistics cost nothing, so they are all that the first load asks for; the path to the refusal
 * of one takes a second one. Returns null if there are several and not all are accepted.
 */
export function verify(object: ObjectToVerify): readonly Verification[] | null {
  const first = attempt(object, "brief");
  if (first.thrown === null) return first.programs.map(accepted);
  if (first.thrown instanceof LibraryError) throw translate(first.thrown, { action: "check", code: "LOAD_FAILED" });
  if (object.programs.length > 1) return null;
  const refusal = failureOf(object, first);
  if (!(refusal instanceof BpfmanError)) throw refusal;
  const { type, log } = soleOf(first);
  return [{ type, refusal, statistics: log, jitedSize: null }];
}

const accepted = ({ type, log, jitedSize }: Attempted): Verification => ({
  type,
  refusal: null,
  statistics: log,
  jitedSize,
});

function failureOf(object: ObjectToVerify, first: Outcome): unknown {
  const { thrown, messages } = first;
  const { log } = soleOf(first);
  const { loadFailure } = require("../explain/load-failure.ts") as typeof import("../explain/load-failure.ts");
  const { isWhole } = require("../../errors/verifier-log.ts") as typeof import("../../errors/verifier-log.ts");
  const evidence = { ...object, object: object.name };
  // The verifier was not reached: there is no path to show.
  if (log.trim() === "") return loadFailure(thrown, { ...evidence, messages, log: "" });
  const second = attempt(object, "path");
  let path = soleOf(second).log;
  // Linux before 6.4 keeps the beginning of the log, and newer kernels its end.
  if (sysFailure(second.thrown)?.name === "ENOSPC" && !isWhole(path))
    path = `${path.trimEnd()}\n… (longer than the kernel's limit)\n${log}`;
  else if (path.length >= VERIFIER_LOG_BYTES_MAX - 1) path = `… (longer than the kernel's limit)\n${path}`;
  return loadFailure(thrown, { ...evidence, messages, log: path.trim() === "" ? log : path });
}

interface Attempted {
  /** 0 if it was not found, or its section says nothing to libbpf. */
  readonly type: number;
  readonly log: string;
  readonly jitedSize: number;
}

interface Outcome {
  /** Null if all were loaded. */
  readonly thrown: unknown;
  readonly messages: readonly string[];
  /** In the order in which they were asked for, as far as they were found. */
  readonly programs: readonly Attempted[];
}

const soleOf = ({ programs: [only] }: Outcome): Attempted => only ?? { type: 0, log: "", jitedSize: 0 };

function attempt(object: ObjectToVerify, detail: LogDetail): Outcome {
  const messages: string[] = [];
  const found: { program: BpfProgram; log: LogBuffer; type: number; jitedSize: number }[] = [];
  const held: number[] = [];
  let opened: BpfObject | undefined;
  let thrown: unknown = null;
  try {
    collectMessages(messages, () => {
      learnSections(object.programs);
      opened = openObject(object.bytes, libbpfName(object.name));
      const selected = opened.select(object.programs.map(({ name }) => name));
      for (const settings of object.programs) {
        const program = selected.get(settings.name);
        if (program === undefined) throw notFound(object.name, settings.name);
        const each = { program, log: new LogBuffer(VERIFIER_LOG_BYTES_MAX), type: 0, jitedSize: 0 };
        found.push(each);
        program.setLog(each.log, detail);
        setType(program, settings, held);
        each.type = program.type;
      }
      configureMaps(opened, { ...object, reuse: NONE });
      opened.load();
      for (const each of found) each.jitedSize = jitedSizeOf(each.program.fd());
    });
  } catch (caught) {
    thrown = caught;
  }
  try {
    const programs = found.map(({ type, log, jitedSize }) => ({ type, log: log.text(), jitedSize }));
    return { thrown, messages, programs };
  } finally {
    opened?.close();
    for (const { log } of found) log.free();
    held.forEach(closeFd);
  }
}
