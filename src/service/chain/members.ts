import { KINDS, sectionFacts } from "../../domain/kinds.ts";
import type { ChainMember, DispatcherKey } from "../../domain/dispatcher.ts";
import { type LinkRecord, type ChainDetails, isChained } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import { placeOf, sameKey } from "./place.ts";

/** BPF_PROG_TYPE_EXT (include/uapi/linux/bpf.h). */
const EXTENSION = 28;

export type ChainLink = LinkRecord & { readonly details: ChainDetails };

const isChainLink = (link: LinkRecord): link is ChainLink => isChained(link.details);

/** Returns the links on a hook by position. */
export const linksOf = (host: Host, key: DispatcherKey): ChainLink[] => linksOn(host.store.links(), key);

/** The same, among those links. */
export const linksOn = (links: readonly LinkRecord[], key: DispatcherKey): ChainLink[] =>
  links
    .filter(isChainLink)
    .filter((link) => sameKey(placeOf(link.details).key, key))
    .sort((a, b) => a.details.position - b.details.position);

/** A member with the details of its link. */
export interface Member extends ChainMember {
  readonly details: ChainDetails;
  readonly record: ProgramRecord;
}

export function memberOf(host: Host, link: ChainLink, program: ProgramRecord): Member {
  return {
    details: link.details,
    record: program,
    link: link.id,
    program: program.id,
    programName: program.name,
    programPin: program.pinPath,
    priority: link.details.priority,
    proceedOn: link.details.proceedOn,
    extension: host.kernel.program(program.id)?.type === EXTENSION,
    frags: sectionFacts(KINDS[program.type], program.section).frags === true,
  };
}

/** Returns the chain on a hook by position. Links whose program no longer has a row are omitted. */
export function membersOf(host: Host, key: DispatcherKey): Member[] {
  return linksOf(host, key).flatMap((link) => {
    const program = host.store.program(link.programId);
    return program === null ? [] : [memberOf(host, link, program)];
  });
}
