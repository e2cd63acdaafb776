import { existsSync, readTextSync } from "../../ffi/safe/file-system.ts";
import { type ProgramType, type ChainedKind, isChainedKind } from "../domain/kinds.ts";
import { BpfmanError, type ErrorParts, type SysFailure } from "../errors/error.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import { adviceFor, readVerifierLog } from "../errors/verifier-log.ts";
import { permissionHint } from "./on-demand.ts";
import { translate } from "./failure.ts";

/** What is known when libbpf or the kernel has refused an object. */
export interface LoadEvidence {
  readonly object: string;
  readonly programs: readonly { readonly name: string; readonly type: ProgramType }[];
  /** libbpf's warnings, oldest first. */
  readonly messages: readonly string[];
  /** Of the program that was refused; empty when the verifier did not come to look at it. */
  readonly log: string;
}

/** Turns what {@link openObject} or its `load` threw into VERIFIER_REJECTED, KERNEL_REFUSED or LOAD_FAILED. */
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
  if (evidence.log.trim() !== "") {
    const reason = readVerifierLog(evidence.log).reason ?? thrown.message;
    const hint = contextHint(reason, refused?.type ?? null) ?? adviceFor(reason);
    return new BpfmanError("VERIFIER_REJECTED", `load ${what}: the verifier refused it: ${reason}`, {
      ...parts,
      ...(hint === null ? {} : { hint }),
      verifierLog: evidence.log,
    });
  }
  if (sys.name === "EPERM" || sys.name === "EACCES") {
    const reason = program === null ? sys.name : `${sys.name}, without a word of the verifier`;
    return new BpfmanError("KERNEL_REFUSED", `load ${what}: the kernel refused it (${reason})`, {
      ...parts,
      hint: permissionHint(refused?.type ?? null),
    });
  }
  const reason = tellingMessage(evidence.messages) ?? thrown.message;
  return new BpfmanError("LOAD_FAILED", `load ${what}: ${reason}`, { ...parts, ...hintFor(sys, reason) });
}

const CONTEXTS = { xdp: "struct xdp_md", tc: "struct __sk_buff" } as const satisfies Record<ChainedKind, string>;

/** For a chain the kernel compares the types of the arguments, which it does not for a program that is attached by itself. */
function contextHint(reason: string, type: ProgramType | null): string | null {
  if (!/ is not a pointer to context$/.test(reason) || type === null || !isChainedKind(type)) return null;
  return `declare its argument as "${CONTEXTS[type]} *": in a chain the kernel compares the types`;
}

/** libbpf names the program that it failed to load; it has no other way to say. */
function programNamed({ messages, programs }: LoadEvidence): LoadEvidence["programs"][number] | null {
  for (const message of messages.toReversed()) {
    const name = /^prog '([^']+)':/.exec(message)?.[1];
    const program = programs.find((candidate) => candidate.name === name);
    if (program !== undefined) return program;
  }
  return null;
}

/** What libbpf says on its way out, after it has said why. */
const CONCLUSION = /^failed to load object|^failed to open object/;
/** What it is not sure about, or goes on without. */
const ASIDE = /Retrying without BTF|^elf: skipping|BTF is optional, ignoring/;

/** The last of libbpf's messages that says something. */
const tellingMessage = (messages: readonly string[]): string | null =>
  messages.findLast((message) => !CONCLUSION.test(message) && !ASIDE.test(message)) ?? null;

/** What a message of libbpf's is about, and what helps then; null where nothing is known to. */
const HINTS: readonly (readonly [message: RegExp, hint: (...found: string[]) => string | null])[] = [
  [
    /Kconfig/,
    () =>
      `libbpf reads the kernel's configuration from /boot/config-${kernelRelease()} or /proc/config.gz: put it there, or mount it there in a container`,
  ],
  [
    /^map '(.+)': failed to initialize slot \[\d+\] to prog '(.+)' fd=-/,
    (_, map = "", program = "") => `name program "${program}" as well: it stands in "${map}" from the start`,
  ],
  [/BTF/, () => (existsSync("/sys/kernel/btf/vmlinux") ? null : "this kernel gives no BTF (CONFIG_DEBUG_INFO_BTF)")],
  [
    /^extern .*not found/,
    () => "this kernel has no such function or variable: declare it __weak, and ask before it is used",
  ],
];

const kernelRelease = (): string => readTextSync("/proc/sys/kernel/osrelease").trim();

/** By errno; what libbpf itself does not support is EOPNOTSUPP, which says nothing of the kernel. */
function errnoHint(name: string): string | null {
  switch (name) {
    case "ENOMEM":
      return "there is not enough memory for its maps: make max_entries smaller";
    case "E2BIG":
      return "the program is too large, or the object asks for something this kernel does not know";
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
