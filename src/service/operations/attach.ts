import { capabilitiesOf, factsOf, KINDS } from "../../domain/kinds.ts";
import type { LinkAnswer } from "../../domain/answer.ts";
import { TCX_ATTEMPTS_MAX } from "../../domain/limits.ts";
import type { LinkDetails, LinkRecord } from "../../domain/link.ts";
import { linkPin, programPin } from "../../domain/pin.ts";
import { APPLICATION_KEY, type Metadata, NOUN_APPLICATION_KEY, type ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { linkAnswer } from "../../inspect/link-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { AttachedLink } from "../../platform/kernel.ts";
import type { AttachSpec } from "../attach/target.ts";
import type { ChainTarget } from "../chain/attach-member.ts";
import { type Context, operation } from "../operation.ts";
import { removePins } from "../own-pins.ts";
import { carryOut } from "../plan.ts";
import { programIdOf, requireProgram } from "../require-record.ts";
import { type AttachRequest, type AttachTarget, attachRequest } from "../requests/attach-request.ts";

/** Throws PROGRAM_TYPE_MISMATCH if the program belongs on another kind of hook. */
function requireKind(program: ProgramRecord, target: AttachTarget): void {
  const { display, attachKind, loadOnly } = factsOf(program.type);
  if (attachKind === target.kind) return;
  const details = { program_id: program.id, type: program.type, asked: target.kind };
  if (loadOnly === null) {
    throw new BpfmanError(
      "PROGRAM_TYPE_MISMATCH",
      `program ${program.id} is ${display} program; attach it with "bpfman attach ${program.id} ${attachKind}"`,
      { details },
    );
  }
  throw new BpfmanError(
    "PROGRAM_TYPE_MISMATCH",
    `program ${program.id} is ${display} program, which bpfman only loads and pins`,
    { details, hint: loadOnly.replace(/\bPIN\b/, () => program.pinPath).replace(/\bID\b/, String(program.id)) },
  );
}

export type SimpleTarget = Exclude<AttachTarget, ChainTarget>;
const isChainTarget = (target: AttachTarget): target is ChainTarget => "proceedOn" in target;

/** What a link of that program there would record. Changes nothing. */
export async function detailsOfTarget(host: Host, program: ProgramRecord, target: AttachTarget): Promise<LinkDetails> {
  if (isChainTarget(target)) return (await import("../chain/attach-member.ts")).chainDetails(host, target);
  const spec = await resolve(host, program, target);
  spec.close?.();
  return spec.details;
}

/** Resolves the target of a program that is attached without a dispatcher. Each kind's code is loaded on demand. */
export async function resolve(host: Host, program: ProgramRecord, target: SimpleTarget): Promise<AttachSpec> {
  switch (target.kind) {
    case "cgroup":
      return (await import("../attach/resolve-cgroup.ts")).resolveCgroup(host, program, target);
    case "sk_lookup":
      return (await import("../attach/resolve-netns.ts")).resolveSkLookup(host, program, target);
    case "netfilter":
      return (await import("../attach/resolve-netns.ts")).resolveNetfilter(host, program, target);
    case "tcx":
      return (await import("../attach/resolve-tcx.ts")).resolveTcx(host, program, target);
    case "tracepoint":
      return (await import("../attach/resolve-tracepoint.ts")).resolveTracepoint(host, program, target);
    case "raw_tp":
      return (await import("../attach/resolve-raw-tp.ts")).resolveRawTp(host, program, target);
    case "uprobe":
      return (await import("../attach/resolve-uprobe.ts")).resolveUprobe(host, program, target);
    case "kprobe":
      return (await import("../attach/resolve-kprobe.ts")).resolveKprobe(host, program, target);
    case "perf_event":
      return (await import("../attach/resolve-perf-event.ts")).resolvePerfEvent(host, program, target);
    case "iter":
      return (await import("../attach/resolve-iter.ts")).resolveIter(host, program, target);
    case "kprobe.multi":
      return (await import("../attach/resolve-kprobe-multi.ts")).resolveKprobeMulti(host, program, target);
    case "uprobe.multi":
      return (await import("../attach/resolve-uprobe.ts")).resolveUprobeMulti(host, program, target);
    case "freplace":
      return (await import("../attach/resolve-freplace.ts")).resolveFreplace(host, program, target);
    case "fentry":
    case "fexit":
    case "lsm":
    case "tp_btf":
    case "fmod_ret":
      return (await import("../attach/resolve-tracing.ts")).resolveTracing(host, program, target);
  }
}

/** Returns the application metadata inherited from the program. The attach can override it. */
function inherited({ metadata }: ProgramRecord): Metadata {
  const keys = [APPLICATION_KEY, NOUN_APPLICATION_KEY].filter((key) => Object.hasOwn(metadata, key));
  return Object.fromEntries(keys.map((key) => [key, metadata[key] as string]));
}

/** Attaches, retrying if the hook was changed between querying it and attaching. */
function attachToHook(host: Host, program: ProgramRecord, spec: AttachSpec): AttachedLink {
  for (let attempt = 1; ; attempt++) {
    try {
      return host.kernel.attach(programPin(program.pinPath, program.id), spec.kernelAttach());
    } catch (cause) {
      if (!(cause instanceof BpfmanError)) throw cause;
      if (cause.code === "ALREADY_ATTACHED") throw namingLink(host, cause, program, spec);
      if (cause.code !== "HOOK_CHANGED" || attempt === TCX_ATTEMPTS_MAX) throw cause;
    }
  }
}

const isSame = (a: LinkDetails, b: LinkDetails): boolean => {
  const other = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a).every(([key, value]) => JSON.stringify(value) === JSON.stringify(other.get(key)));
};

/**
 * Names the existing link in the kernel's "already attached" error, which does not say which link it is, if a row does.
 */
function namingLink(host: Host, refusal: BpfmanError, program: ProgramRecord, spec: AttachSpec): BpfmanError {
  if ("link_id" in refusal.details) return refusal;
  const twin = host.store
    .links()
    .find(
      ({ programId, kernelLinkId, details }) =>
        programId === program.id &&
        kernelLinkId !== null &&
        isSame(details, spec.details) &&
        host.kernel.link(kernelLinkId) !== null,
    );
  if (twin === undefined) return refusal;
  return new BpfmanError(refusal.code, `program ${program.id} is already attached there as link ${twin.id}`, {
    details: { program_id: program.id, link_id: twin.id },
    hint: `detach it first: bpfman detach ${twin.id}`,
    cause: refusal,
    ...(refusal.sys === null ? {} : { sys: refusal.sys }),
  });
}

/** Describes the hook as it was named: `tcx eth0 ingress`. It may not exist. */
export function typedPlace({ kind, ...rest }: AttachTarget): string {
  const { iface, direction, tracepoint, target, fnName, cgroup, protocol, hook } = rest as Readonly<
    Record<string, unknown>
  >;
  const words = [kind, iface, tracepoint, target, fnName, cgroup, direction, protocol, hook];
  return words.filter((word) => word).join(" ");
}

/** What a link was in an earlier boot. */
export type EarlierPlace = Pick<LinkRecord, "id" | "createdAt">;

/** `was`: the link that is restored, which keeps its ID. */
export async function attach(
  host: Host,
  request: AttachRequest,
  context: Context,
  was: EarlierPlace | null = null,
): Promise<LinkAnswer> {
  const program = requireProgram(host, programIdOf(host, request.programId, context));
  const target = request.attach;
  context.note({ place: typedPlace(target) });
  requireKind(program, target);
  context.requireCapabilities(capabilitiesOf(program.type), `attaching ${KINDS[program.type].display} program`);
  const metadata = { ...inherited(program), ...request.metadata };
  if (isChainTarget(target)) {
    const { attachToChain } = await import("../chain/attach-member.ts");
    return attachToChain(host, { program, target, metadata, was }, context);
  }
  const spec = await resolve(host, program, target);
  try {
    return await attachByItself(host, { program, spec, metadata, was }, context);
  } finally {
    spec.close?.();
  }
}

interface Attaching {
  readonly program: ProgramRecord;
  readonly spec: AttachSpec;
  readonly metadata: Metadata;
  readonly was: EarlierPlace | null;
}

/** Creates the pending row, the link and its pin, then settles the row. Each step is undone if a later one fails. */
function attachByItself(
  host: Host,
  { program, spec, metadata, was }: Attaching,
  context: Context,
): Promise<LinkAnswer> {
  const draft = { programId: program.id, details: spec.details, metadata, createdAt: host.now(), ...was };
  return carryOut(context, async (steps) => {
    const pending = await steps.step(
      "write the pending row",
      () => host.store.insertLink(draft, (id) => host.pins.paths.link(id)),
      (row, clean) => {
        if (clean) host.store.deleteLink(row.id);
      },
    );
    context.note({ links: [pending.id] });
    const attached = await steps.step("attach", () => attachToHook(host, program, spec));
    try {
      await steps.step("say which link it is", () => host.store.expectLink(pending.id, attached.id));
      await steps.step(
        `pin link ${pending.id}`,
        () => attached.pin(pending.pinPath),
        () => removePins(host, [linkPin(pending.pinPath, attached.id)]),
      );
      await steps.step("finish the row", () => host.store.settleLink(pending.id, attached.id));
    } finally {
      attached.close();
    }
    return linkAnswer(host, { ...pending, kernelLinkId: attached.id }, program);
  });
}

export const implementation = operation({
  get request() {
    return attachRequest();
  },
  requestFor: attachRequest,
  run: (host: Host, input: AttachRequest, context: Context) => attach(host, input, context),
});
