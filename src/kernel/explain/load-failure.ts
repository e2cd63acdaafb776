import type { ProgramType } from "../../domain/kinds.ts";
import { BpfmanError, type ErrorParts, type SysFailure } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import { didYouMean } from "../../errors/suggest.ts";
import { adviceFor, isWhole, readVerifierLog } from "../../errors/verifier-log.ts";
import { existsSync, readFileSync } from "node:fs";
import { permissionHint } from "./on-demand.ts";
import type { ObjectToLoad } from "../../platform/kernel.ts";
import { translate } from "../kernel-failure.ts";

/** The evidence collected when libbpf or the kernel rejects an object. */
export interface LoadEvidence {
  readonly object: string;
  readonly programs: readonly { readonly name: string; readonly type: ProgramType | null }[];
  /** libbpf's warnings, oldest first. */
  readonly messages: readonly string[];
  /** Verifier log of the rejected program; empty if the verifier did not get to it. */
  readonly log: string;
  readonly structs?: ObjectToLoad["structs"];
}

/** Converts an error of {@link openObject} or its `load` to VERIFIER_REJECTED, KERNEL_REFUSED or LOAD_FAILED. */
export function loadFailure(thrown: unknown, evidence: LoadEvidence): unknown {
  const sys = sysFailure(thrown);
  if (sys === null || !(thrown instanceof Error)) return translate(thrown, { action: "load", code: "LOAD_FAILED" });
  const refused = programNamed(evidence);
  const program = refused?.name ?? null;
  const what = program === null ? `object "${evidence.object}"` : `program "${program}"`;
  const parts: ErrorParts = {
    sys,
    cause: thrown,
    details: { object: evidence.object, program, libbpf: evidence.messages },
  };
  const { reason: refusal } = readVerifierLog(evidence.log);
  if (refusal === null && AFTER_VERIFIER.includes(sys.name) && isWhole(evidence.log)) {
    // As with an attach type that the kernel does not know.
    const isUnverified = /^processed 0 insns/m.test(evidence.log);
    const when = isUnverified ? "before verifying it" : "after the verifier had accepted it";
    const after = `load ${what}: the kernel refused it ${when} (${sys.name})`;
    const hint = isUnverified ? UNKNOWN_KIND : PROGRAM_ARRAYS;
    return new BpfmanError("LOAD_FAILED", after, { ...parts, hint: errnoHint(sys.name) ?? hint });
  }
  if (evidence.log.trim() !== "") {
    const reason = refusal ?? thrown.message;
    const hint = adviceFor(reason);
    return new BpfmanError("VERIFIER_REJECTED", `load ${what}: the verifier rejected it: ${reason}`, {
      ...parts,
      ...(hint === null ? {} : { hint }),
      verifierLog: evidence.log,
    });
  }
  if (sys.name === "EPERM" || sys.name === "EACCES") {
    const reason = program === null ? sys.name : `${sys.name}, with no verifier log`;
    return new BpfmanError("KERNEL_REFUSED", `load ${what}: the kernel refused it (${reason})`, {
      ...parts,
      hint: permissionHint(refused?.type ?? null),
    });
  }
  const reason = tellingMessage(evidence.messages) ?? thrown.message;
  const unlinked = /^map '(.+)': failed to create: .*\(-22\)/.exec(reason)?.[1] ?? "";
  const hint =
    evidence.structs?.get(unlinked)?.linked === true
      ? { hint: 'section ".struct_ops.link" needs Linux 6.4; before, structs go into ".struct_ops"' }
      : hintFor(sys, reason);
  return new BpfmanError("LOAD_FAILED", `load ${what}: ${reason}`, { ...parts, ...hint });
}

/** What a program can fail with that the verifier has accepted: its program arrays, the JIT compiler, its descriptor. */
const AFTER_VERIFIER: readonly string[] = ["EINVAL", "ENOTSUPP", "ENOMEM", "EMFILE"];
const UNKNOWN_KIND =
  'this kernel may lack programs of this kind: "bpfman inspect OBJECT" says which version of Linux has them, and its build configuration may leave them out';
/** bpf_check_tail_call (kernel/bpf/core.c) */
const PROGRAM_ARRAYS =
  "programs that share a program array must be of one type, and all or none of them xdp.frags: load the others apart from them";

/** Finds the program that libbpf failed to load. It only names it in a message. */
function programNamed({ messages, programs }: LoadEvidence): LoadEvidence["programs"][number] | null {
  for (const message of messages.toReversed()) {
    const name = /^prog '([^']+)':/.exec(message)?.[1];
    const program = programs.find((candidate) => candidate.name === name);
    if (program !== undefined) return program;
  }
  return null;
}

/** Final messages of libbpf, which follow the actual reason. */
const CONCLUSION = /^failed to load object|^failed to open object/;
/** Warnings after which libbpf continues. */
const ASIDE = /Retrying without BTF|^elf: skipping|BTF is optional, ignoring/;

/** Returns the last of libbpf's messages that is informative. */
const tellingMessage = (messages: readonly string[]): string | null =>
  messages.findLast((message) => !CONCLUSION.test(message) && !ASIDE.test(message)) ?? null;

/** What a message of libbpf's is about, and what helps then; null where nothing is known to. */
const HINTS: readonly (readonly [message: RegExp, hint: (...found: string[]) => string | null])[] = [
  [
    /Kconfig/,
    () =>
      `libbpf reads the kernel's configuration from /boot/config-${kernelRelease()} or /proc/config.gz: provide one of them; in a container, mount it`,
  ],
  [
    /^map '(.+)': failed to initialize slot \[\d+\] to prog '(.+)' fd=-/,
    (_, map = "", program = "") => `name program "${program}" as well: it is an initial value of "${map}"`,
  ],
  [
    /failed to find kernel BTF type ID of '(.+)'/,
    (_, name = "") => {
      if (!existsSync("/sys/kernel/btf/vmlinux")) return null;
      const { kernelNames } = require("./kernel-names.ts") as typeof import("./kernel-names.ts");
      return didYouMean(name, kernelNames()) ?? `this kernel has no "${name}" to attach to`;
    },
  ],
  [
    // The verifier would have said more.
    /^prog '.+': failed to load: -(22|EINVAL)/,
    () => UNKNOWN_KIND,
  ],
  [/BTF/, () => (existsSync("/sys/kernel/btf/vmlinux") ? null : "this kernel provides no BTF (CONFIG_DEBUG_INFO_BTF)")],
  [
    /^extern .*not found/,
    () => "this kernel has no such function or variable: declare it __weak, and check it before using it",
  ],
];

const kernelRelease = (): string => readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();

/** By errno; what libbpf itself does not support is EOPNOTSUPP, which says nothing of the kernel. */
function errnoHint(name: string): string | null {
  switch (name) {
    case "ENOMEM":
      return "there is not enough memory for its maps: reduce max_entries";
    case "E2BIG":
      return "the program is too large, or the object needs something that this kernel does not support";
    case "EMFILE":
      return 'too many files are open: each program and each map is one, so raise the limit ("ulimit -n") or load fewer at once';
    case "ENOTSUPP":
      return "this kernel lacks something that the program needs";
    default:
      return null;
  }
}

function hintFor(sys: SysFailure, reason: string): { readonly hint?: string } {
  for (const [message, hintOf] of HINTS) {
    const found = message.exec(reason);
    const hint = found === null ? null : hintOf(...found);
    if (hint !== null) return { hint };
  }
  const hint = errnoHint(sys.name);
  return hint === null ? {} : { hint };
}
