import { dispatcherTypeOf } from "../../domain/dispatcher.ts";
import { programId } from "../../domain/ids.ts";
import { type FreplaceDetails, isChained, placeInBrief } from "../../domain/link.ts";
import { programPin } from "../../domain/pin.ts";
import { partReplaced, type ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import { requireProgram } from "../require-record.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type FreplaceTarget = Extract<AttachTarget, { kind: "freplace" }>;

/** Throws STATE_CONFLICT if a dispatcher runs the program: there, its twin runs, whose functions stay as they are. */
function requireNoTwin(host: Host, { id }: ProgramRecord): void {
  for (const { id: link, details } of host.store.links(id)) {
    if (!isChained(details)) continue;
    const { nsid, ifindex } = details;
    const chain = host.store.dispatcher({ type: dispatcherTypeOf(details), nsid, ifindex });
    if (chain === null || chain.programId === id) continue;
    throw new BpfmanError(
      "STATE_CONFLICT",
      `program ${id} runs in a chain (link ${link}: ${placeInBrief(details)}), where the kernel lets no function of it be replaced`,
      {
        details: { target_program_id: id, link_id: link },
        hint: `detach it first: bpfman detach ${link}; a program alone on its hook can be attached again afterwards`,
      },
    );
  }
}

/** Throws ALREADY_ATTACHED or HOOK_BUSY if one of our links replaces the function. */
function requireFree(host: Host, program: ProgramRecord, { targetProgramId, fnName }: FreplaceDetails): void {
  const holder = host.store
    .programsReplacing(targetProgramId)
    .flatMap(({ id }) => host.store.links(id))
    .find(({ details }) => details.kind === "freplace" && details.fnName === fnName);
  if (holder === undefined) return;
  const isItself = holder.programId === program.id;
  throw new BpfmanError(
    isItself ? "ALREADY_ATTACHED" : "HOOK_BUSY",
    isItself
      ? `program ${program.id} is already attached there as link ${holder.id}`
      : `link ${holder.id} of program ${holder.programId} replaces function "${fnName}" of program ${targetProgramId} already`,
    {
      details: { program_id: holder.programId, link_id: holder.id },
      hint: `detach it first: bpfman detach ${holder.id}`,
    },
  );
}

/** What it replaces was chosen at load time: the kernel verified it against that function. */
export const resolveFreplace: Resolve<FreplaceTarget> = (host, program) => {
  const { program: named, fnName } = partReplaced(program.attachFunction ?? "");
  const target = requireProgram(host, programId(Number(named)));
  const details: FreplaceDetails = { kind: "freplace", targetProgramId: target.id, fnName };
  requireFree(host, program, details);
  requireNoTwin(host, target);
  return {
    details,
    kernelAttach: () => ({ kind: "freplace", target: programPin(target.pinPath, target.id), fnName }),
  };
};
