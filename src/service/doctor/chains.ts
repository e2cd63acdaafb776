/** Compares the rows of chains with what runs on their hooks, and with their pins. */
import { readTcConfig, readXdpConfig } from "../../dispatcher/dispatcher-config.ts";
import type { DispatcherRecord } from "../../domain/dispatcher.ts";
import type { ProgramId } from "../../domain/ids.ts";
import { linkPin, type Pin } from "../../domain/pin.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import type { Host } from "../../platform/host.ts";
import { type ChainLink, linksOn, membersOf } from "../chain/members.ts";
import { type ChainPlace, kernelHook, placeName } from "../chain/place.ts";
import { currentProgram, rebuild, removeAtRest } from "../chain/rebuild.ts";
import { seatOf, tcHook } from "../chain/seat.ts";
import type { Context } from "../operation.ts";
import { openIfOwn, removePins } from "../own-pins.ts";
import type { Plan } from "../plan.ts";
import { checking, type Found, finding, type Mend } from "./finding.ts";
import { isThere, pinAgain, pinningAgain } from "./pinning.ts";
import type { Rows } from "./rows.ts";

/** A chain to check, with everything that its row refers to. */
interface Chain {
  readonly record: DispatcherRecord;
  readonly place: ChainPlace;
  readonly name: string;
  readonly links: readonly ChainLink[];
  readonly evidence: Found["evidence"];
}

export function checkChains(host: Host, { dispatchers, links }: Rows, context: Context): Found[] {
  // Those in the middle of a change are finished first.
  const settled = dispatchers.filter(({ revision, pendingRevision }) => revision > 0 && pendingRevision === null);
  const attachments = attachmentsOf(host, { dispatchers: settled, links });
  return settled.flatMap((record) => {
    const place: ChainPlace = { key: record, interface: record.interface, netns: record.netns };
    return checking(`the chain on ${placeName(place)}`, () => {
      const name = placeName(place);
      const members = linksOn(links, record);
      if (members.length === 0) return [];
      const ids = members.map(({ id }) => id);
      const hook = { interface: record.interface, netns: record.netns, nsid: record.nsid, ifindex: record.ifindex };
      const evidence = { ...hook, program_id: record.programId, links: ids };
      return checkChain(host, { record, place, name, links: members, evidence }, attachments, context);
    });
  });
}

function checkChain(
  host: Host,
  chain: Chain,
  attachments: ReturnType<typeof attachmentsOf>,
  context: Context,
): Found[] {
  const { record, name, evidence } = chain;
  const { present, reason, interface: now } = attachments.ofDispatcher(record);
  const links = `link${chain.links.length === 1 ? "" : "s"} ${chain.links.map(({ id }) => id).join(", ")}`;
  const forgetting: Mend = {
    stage: "hooks",
    action: `forget ${links} on ${name}`,
    run: (steps) => forget(host, chain, steps),
  };
  if (reason === "interface-gone" || reason === "namespace-gone") {
    const gone =
      reason === "interface-gone"
        ? "which no longer exists"
        : `whose namespace ${record.netns === null ? "is not to be found" : `no longer is at ${record.netns}`}`;
    const what = `${links} ran on ${name}, ${gone}`;
    return [finding("hook-gone", what, { ...evidence, reason }, { mend: forgetting })];
  }
  // In another namespace by now, where only its link leads.
  if (present === true && now === null) return checkInside(host, chain, context);
  const runs = running(host, chain);
  if (runs === record.programId && present !== false) return checkInside(host, chain, context);
  const taken = `${name} runs program ${runs}, which is not bpfman's; ${links} are recorded there`;
  if (record.type === "xdp" && runs !== null && ownLink(host, record) !== null) {
    // In a link that bpfman made and pinned.
    const what = `the link of the chain on ${name} runs program ${runs} instead of ${record.programId}`;
    const action = `put program ${record.programId} back into the link on ${name}`;
    const mend: Mend = { stage: "hooks", action, run: () => swapBack(host, record, runs) };
    return [finding("dispatcher-differs", what, { ...evidence, runs }, { mend })];
  }
  if (runs !== null) return [finding("hook-taken", taken, { ...evidence, runs }, { mend: forgetting })];
  const current = currentProgram(host, record);
  const complete = current !== null && isThere(host, current);
  const back: Mend = {
    stage: "hooks",
    action: `put the chain back on ${name}`,
    run: (steps) => putBack(host, chain, steps, context),
  };
  const what = `nothing of bpfman's is on ${name}, where ${links} are recorded`;
  return [finding("hook-empty", what, evidence, { mend: complete ? back : forgetting })];
}

/** The link that holds the chain on its XDP hook, if it is attached there. */
function ownLink(host: Host, record: DispatcherRecord): ProgramId | null {
  if (record.type !== "xdp" || record.kernelLinkId === null) return null;
  const link = host.kernel.link(record.kernelLinkId);
  return link?.facts?.kind === "xdp" && link.facts.ifindex === record.ifindex ? link.programId : null;
}

/** Returns the program on the hook: in bpfman's link or filter, or else anybody's. */
function running(host: Host, { record, place }: Chain): ProgramId | null {
  if (record.type !== "xdp") return host.kernel.tcFilterProgram(tcHook(host, place, record), record.filter);
  return ownLink(host, record) ?? host.kernel.xdpHolder(kernelHook(host, place))?.program ?? null;
}

/** Checks the pins of a chain that is on its hook, its slots, and its configuration. */
function checkInside(host: Host, chain: Chain, context: Context): Found[] {
  const { record, place, name, links, evidence } = chain;
  const { paths } = host.pins;
  const found: Found[] = [];
  if (record.type === "xdp" && record.kernelLinkId !== null) {
    const pin = linkPin(paths.xdpLink(record), record.kernelLinkId);
    if (!isThere(host, pin)) {
      const what = `the link of the chain on ${name} has lost its pin`;
      found.push(finding("link-unpinned", what, { ...evidence, pin: pin.path }, { mend: pinningAgain(host, pin) }));
    }
  }
  if (links.some(({ programId }) => programId === record.programId)) return found;
  const why = difference(host, chain);
  if (why === null) return found;
  const run = async (steps: Plan): Promise<void> => {
    const dispatcher = currentProgram(host, record);
    if (dispatcher !== null && !isThere(host, dispatcher)) await pinAgain(host, dispatcher, steps);
    await rebuild(host, { place, members: membersOf(host, record) }, { steps, context });
  };
  const mend: Mend = { stage: "hooks", action: `build the chain on ${name} again from its ${links.length} rows`, run };
  const what = `the dispatcher on ${name} is not what the rows say: ${why}`;
  return [...found, finding("dispatcher-differs", what, { ...evidence, difference: why }, { mend })];
}

/** Says how a dispatcher differs from its rows; null if it does not. */
function difference(host: Host, { record, links }: Chain): string | null {
  const directory = host.pins.paths.revision(record, record.revision);
  const pins = host.store.recordedPins(directory);
  const lost = pins.find((pin) => !isThere(host, pin));
  if (lost !== undefined) return `${lost.path} is missing, or is not what was pinned there`;
  if (!pins.some(({ id, kind }) => kind === "program" && id === record.programId)) return "its pin is not recorded";
  for (const [slot, { id, kernelLinkId, details }] of links.entries()) {
    if (details.position !== slot) return `link ${id} is recorded in slot ${details.position}, not ${slot}`;
    const link = kernelLinkId === null ? null : host.kernel.link(kernelLinkId);
    const target = link?.facts?.kind === "tracing" ? link.facts.targetObjectId : 0;
    // Kernels before 6.x do not say what a link extends: then its pin is all there is to go by.
    if (link === null || (target !== 0 && target !== record.programId)) return `slot ${slot} does not run link ${id}`;
  }
  return configDifference(host, { record, links });
}

function configDifference(host: Host, { record, links }: Pick<Chain, "record" | "links">): string | null {
  const [rodata] = record.programId === null ? [] : (host.kernel.program(record.programId)?.mapIds ?? []);
  const bytes = rodata === undefined ? null : host.kernel.firstValue(rodata);
  if (bytes === null) return "its configuration cannot be read";
  const { members } = record.type === "xdp" ? readXdpConfig(bytes) : readTcConfig(bytes);
  if (members.length !== links.length) return `it has ${members.length} members, and there are ${links.length} rows`;
  for (const [slot, { priority, proceedOn }] of members.entries()) {
    const { id, details } = links[slot] as ChainLink;
    if (details.priority !== priority)
      return `link ${id} has priority ${details.priority}, and ${priority} in its slot`;
    const rows = details.proceedOn.toSorted((a, b) => a - b).join(", ");
    if (rows !== proceedOn.join(", "))
      return `link ${id} proceeds on ${rows}, and on ${proceedOn.join(", ")} in its slot`;
  }
  return null;
}

/** Puts the chain's program back into bpfman's own link, from which somebody replaced it. */
function swapBack(host: Host, record: DispatcherRecord, runs: ProgramId): void {
  const next = currentProgram(host, record);
  if (record.type !== "xdp" || record.kernelLinkId === null || next === null) return;
  host.kernel.swapProgram(linkPin(host.pins.paths.xdpLink(record), record.kernelLinkId), { old: runs, next });
}

/** Attaches the program of the current revision to its free hook. */
async function putBack(host: Host, { record, place, links }: Chain, steps: Plan, context: Context): Promise<void> {
  const current = currentProgram(host, record) as Pin;
  const seat = seatOf(host, { place, record, context });
  const path = host.pins.paths.xdpLink(record);
  // A link that is off its hook is of no use any more.
  if (record.type === "xdp") dropPins(host, path);
  const seated = await steps.step(
    `attach to ${placeName(place)}`,
    () => seat.occupy(current),
    () => seat.leave(),
  );
  await steps.step("finish the rows", () =>
    host.store.transaction(() => {
      const { revision, programId } = record;
      host.store.settleRevision(record, { seat: seated, revision, programId });
      const direct = links.find((link) => link.programId === programId);
      if (direct === undefined || seated.type !== "xdp") return;
      host.store.moveLink(direct.id, { ...direct, pinPath: path, kernelLinkId: seated.kernelLinkId });
    }),
  );
}

/** Removes recorded pins at a path that hold what was pinned there. */
function dropPins(host: Host, path: string): void {
  const recorded = host.store.recordedPins(path);
  const own = recorded.filter((pin) => {
    const handle = openIfOwn(host, pin);
    handle?.close();
    return handle !== null;
  });
  removePins(host, own);
  host.store.forgetPins(path);
}

/** Removes a chain's rows and pins, and leaves alone whatever is on its hook. */
async function forget(host: Host, { record, links }: Chain, steps: Plan): Promise<void> {
  const { paths } = host.pins;
  await steps.step("mark the links", () =>
    host.store.transaction(() => {
      for (const { id } of links) host.store.setLinkState(id, "removing");
    }),
  );
  if (record.type === "xdp") dropPins(host, paths.xdpLink(record));
  removeAtRest(host, paths.revision(record, record.revision));
  host.store.transaction(() => {
    for (const { id } of links) host.store.deleteLink(id);
    host.store.deleteDispatcher(record);
  });
}
