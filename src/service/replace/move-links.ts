/**
 * Puts programs in the place of those that links run: without a gap where the kernel swaps, else the new one beside the old
 * one, which then goes. Each link is moved by itself, and so is each hook with a chain; moving back is the same the other way.
 */
import type { ProgramId } from "../../domain/ids.ts";
import { isChained, type LinkDetails, type LinkRecord } from "../../domain/link.ts";
import { linkPin, type Pin, programPin } from "../../domain/pin.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import { IN_THIS_BOOT, targetOf } from "../attach/target-of.ts";
import { linksOf, type Member, memberOf } from "../chain/members.ts";
import { type ChainPlace, hasLostHook, placeName, placeOf, sameKey } from "../chain/place.ts";
import { rebuild } from "../chain/rebuild.ts";
import type { Context } from "../operation.ts";
import { resolve, type SimpleTarget } from "../operations/attach.ts";
import { removePins } from "../own-pins.ts";
import { carryOut } from "../plan.ts";

/** What takes the place of programs. */
export type Places = ReadonlyMap<ProgramId, ProgramRecord>;

/** What is moved at once. */
export type Unit = { readonly chain: ChainPlace } | { readonly link: LinkRecord };

export const unitName = (unit: Unit): string =>
  "chain" in unit ? `the chain on ${placeName(unit.chain)}` : `link ${unit.link.id}`;

/**
 * How the kernel lets a link have another program. `beside`: not at all, so that both run for a moment. `never`: nor can two
 * programs be there, as netfilter gives a priority to one, and a function is replaced once.
 */
export function wayOf(details: LinkDetails): "swap" | "beside" | "never" {
  if (isChained(details) || "cgroupId" in details) return "swap";
  switch (details.kind) {
    case "tcx":
    case "iter":
    case "sk_lookup":
      return "swap";
    case "netfilter":
    case "freplace":
      return "never";
    default:
      return "beside";
  }
}

export function unitsOf(links: readonly LinkRecord[]): Unit[] {
  const chains: ChainPlace[] = [];
  const alone: Unit[] = [];
  for (const link of links) {
    const { details } = link;
    if (!isChained(details) || hasLostHook(details)) alone.push({ link });
    else if (!chains.some(({ key }) => sameKey(key, placeOf(details).key))) chains.push(placeOf(details));
  }
  return [...chains.map((chain) => ({ chain })), ...alone];
}

/** A failure leaves everything as it was. Throws like an attach, and STATE_CONFLICT if a link runs another program. */
export async function move(host: Host, unit: Unit, places: Places, context: Context): Promise<void> {
  if ("chain" in unit) return moveChain(host, unit.chain, places, context);
  const link = host.store.link(unit.link.id);
  const next = link === null ? undefined : places.get(link.programId);
  if (link === null || next === undefined) return;
  // Nothing runs on a hook that has gone.
  if (isChained(link.details)) host.store.moveLink(link.id, { ...link, programId: next.id });
  else if (wayOf(link.details) === "swap") await swap(host, link, next, context);
  else await moveBeside(host, link, next, context);
}

async function moveChain(host: Host, place: ChainPlace, places: Places, context: Context): Promise<void> {
  const links = linksOf(host, place.key);
  if (!links.some(({ programId }) => places.has(programId))) return;
  const members = links.flatMap((link): Member | [] => {
    const program = places.get(link.programId) ?? host.store.program(link.programId);
    return program === null ? [] : memberOf(host, link, program);
  });
  await carryOut(context, (steps) => rebuild(host, { place, members }, { steps, context }));
}

/** The pin of a link that runs. */
const pinOf = ({ pinPath, kernelLinkId }: LinkRecord): Pin | null =>
  kernelLinkId === null ? null : linkPin(pinPath, kernelLinkId);

const inKernel = ({ id, pinPath }: ProgramRecord): Pin => programPin(pinPath, id);

/** BPF_LINK_UPDATE. */
async function swap(host: Host, link: LinkRecord, next: ProgramRecord, context: Context): Promise<void> {
  const pin = pinOf(link);
  const old = host.store.program(link.programId);
  if (pin === null || old === null) return;
  await carryOut(context, async (steps) => {
    await steps.step(
      `swap the program of link ${link.id}`,
      () => host.kernel.swapProgram(pin, { old: inKernel(old), next: inKernel(next) }),
      () => host.kernel.swapProgram(pin, { old: inKernel(next), next: inKernel(old) }),
    );
    await steps.step(`give link ${link.id} to program ${next.id}`, () =>
      host.store.moveLink(link.id, { ...link, programId: next.id }),
    );
  });
}

async function moveBeside(host: Host, link: LinkRecord, next: ProgramRecord, context: Context): Promise<void> {
  const old = pinOf(link);
  if (old === null) return;
  const spec = await resolve(host, next, targetOf(link.details, IN_THIS_BOOT) as SimpleTarget);
  try {
    await carryOut(context, async (steps) => {
      const attached = await steps.step(`attach program ${next.id} beside link ${link.id}`, () =>
        host.kernel.attach(inKernel(next), spec.kernelAttach()),
      );
      try {
        const pin = linkPin(besidePath(host, link, next), attached.id);
        const moved = { programId: next.id, details: spec.details };
        await steps.step(
          `record the pin ${pin.path}`,
          () => host.store.recordPins([pin]),
          (_, clean) => {
            if (clean) host.store.forgetPins(pin.path);
          },
        );
        await steps.step(
          `pin ${pin.path}`,
          () => attached.pin(pin.path),
          () => removePins(host, [pin]),
        );
        await steps.step(
          `give link ${link.id} to program ${next.id}`,
          () => settle(host, { ...link, ...moved, pinPath: pin.path, kernelLinkId: attached.id }, pin, old),
          () => settle(host, link, old, pin),
        );
        await steps.step(`take program ${link.programId} off`, () => removePins(host, [old]));
      } finally {
        attached.close();
      }
    });
  } finally {
    spec.close?.();
  }
  try {
    host.store.forgetPins(old.path);
  } catch (cause) {
    // It names what is gone, and harms nobody.
    context.log.warn(`the pin ${old.path} stays recorded`, { reason: reasonOf(cause) });
  }
}

/** From here on, the row names one pin, and the other one is to be removed. */
function settle(host: Host, row: LinkRecord, its: Pin, other: Pin): void {
  host.store.transaction(() => {
    host.store.moveLink(row.id, row);
    host.store.forgetPins(its.path);
    host.store.recordPins([other]);
  });
}

/** Moving back uses the first path again. */
const besidePath = (host: Host, link: LinkRecord, next: ProgramRecord): string =>
  link.pinPath === host.pins.paths.link(link.id)
    ? host.pins.paths.link(link.id, next.id)
    : host.pins.paths.link(link.id);
