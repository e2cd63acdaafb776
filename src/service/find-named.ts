/** Finds the program or link that a user names instead of giving its ID. */
import { type LinkId, linkId, type ProgramId, programId } from "../domain/ids.ts";
import { ID_MAX, LISTED_NAMES_MAX } from "../domain/limits.ts";
import { placeInBrief } from "../domain/link.ts";
import { applicationOf } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { whatThereIs } from "../errors/suggest.ts";
import type { Host } from "../platform/host.ts";

/** What can be named. */
interface Candidate {
  readonly id: number;
  /** Its program's. */
  readonly name: string;
  readonly applications: readonly (string | null)[];
  /** What distinguishes it from others of the same name. */
  readonly about: string;
}

const WHAT = {
  program: { notFound: "PROGRAM_NOT_FOUND", ambiguous: "PROGRAM_AMBIGUOUS", list: "bpfman list programs" },
  link: { notFound: "LINK_NOT_FOUND", ambiguous: "LINK_AMBIGUOUS", list: "bpfman list links" },
} as const;

/** Returns the ID of the one that is named. A number is an ID, whatever is called so. */
function only(what: keyof typeof WHAT, named: string, candidates: () => readonly Candidate[]): number {
  const { notFound, ambiguous, list } = WHAT[what];
  const see = `see "${list}"`;
  if (/^\d+$/.test(named)) {
    if (Number(named) >= 1 && Number(named) <= ID_MAX) return Number(named);
    throw new BpfmanError(notFound, `${what} ${named} does not exist`, { details: { named }, hint: see });
  }
  const slash = named.lastIndexOf("/");
  const [application, name] = [slash < 0 ? null : named.slice(0, slash), named.slice(slash + 1)];
  const all = candidates();
  const found = all.filter(
    (each) => each.name === name && (application === null || each.applications.includes(application)),
  );
  const [first, ...more] = found;
  if (first === undefined) {
    const qualified = all.flatMap((each) =>
      each.applications.flatMap((its) => (its === null ? [] : [`${its}/${each.name}`])),
    );
    const names = application !== null && qualified.length > 0 ? qualified : all.map((each) => each.name);
    const there = whatThereIs(named, [...new Set(names)], { there: "there are", none: "there are none" });
    const problem = what === "program" ? `no program is named "${named}"` : `no program named "${named}" has a link`;
    throw new BpfmanError(notFound, problem, { details: { named }, hint: `${there}; ${see}` });
  }
  if (more.length === 0) return first.id;
  const shown = found.slice(0, LISTED_NAMES_MAX).map(({ id, about }) => `${id} (${about})`);
  throw new BpfmanError(ambiguous, `"${named}" fits ${found.length} ${what}s: ${shown.join(", ")}`, {
    details: { named, [`${what}_ids`]: found.map(({ id }) => id) },
    hint: application === null ? "name one by its id, or as APPLICATION/NAME" : "name one by its id",
  });
}

/**
 * Returns the ID of the program with that name, or that `APPLICATION/NAME`; of a number, the number. Throws PROGRAM_NOT_FOUND,
 * PROGRAM_AMBIGUOUS.
 */
export const programNamed = (host: Host, named: string): ProgramId =>
  programId(
    only("program", named, () =>
      host.store.programSummaries().map(({ id, name, type, metadata }) => {
        const application = applicationOf(metadata);
        return {
          id,
          name,
          applications: [application],
          about: application === null ? type : `${type}, ${application}`,
        };
      }),
    ),
  );

/**
 * Returns the ID of the only link of the programs with that name, or of that `APPLICATION/NAME`; of a number, the number. Throws
 * LINK_NOT_FOUND, LINK_AMBIGUOUS.
 */
export const linkNamed = (host: Host, named: string): LinkId =>
  linkId(
    only("link", named, () => {
      const programs = new Map(host.store.programSummaries().map((program) => [program.id, program]));
      return host.store.links().map(({ id, programId: of, metadata, details }) => {
        const program = programs.get(of);
        const applications = [applicationOf(metadata), program === undefined ? null : applicationOf(program.metadata)];
        return { id, name: program?.name ?? "", applications, about: placeInBrief(details) };
      });
    }),
  );
