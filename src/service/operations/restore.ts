/** Loads and attaches again what was there before a reboot. */
import type { RestoreAnswer, RestoredAnswer, RestoredLinkAnswer, RestoredProgramAnswer } from "../../domain/answer.ts";
import { type LinkId, linkId, type MapId, type ProgramId, programId } from "../../domain/ids.ts";
import { RESTORE_POLL_MS } from "../../domain/limits.ts";
import { isChained, placeInBrief } from "../../domain/link.ts";
import { applicationOf } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { EarlierLink, EarlierProgram, EarlierRef, UnreadableRow } from "../../platform/store.ts";
import { targetOf } from "../attach/target-of.ts";
import { type Context, type Early, operation } from "../operation.ts";
import { successorOf } from "../require-record.ts";
import { type RestoreRequest, restoreRequest } from "../requests/restore-request.ts";
import { bytesOf, type Pulled, pullLost } from "../restore/bytecode.ts";
import { type Group, groupsOf, ownerKey, refKey, replacedBy, withNeeds } from "../restore/groups.ts";
import { MAY_COME, neverAgain, obstacle } from "../restore/obstacle.ts";
import { pause } from "../wait.ts";
import { attach } from "./attach.ts";
import { load, planLoad } from "./load.ts";

interface RestoreInput extends RestoreRequest {
  readonly pulled: Pulled;
  /** What was restored before something came that was waited for. */
  readonly before: RestoreAnswer;
  /** Milliseconds of the process's clock. */
  readonly untilMs: number;
}

const NOTHING: RestoreAnswer = { dry_run: false, programs: [], links: [] };

interface Chosen {
  readonly programs: EarlierProgram[];
  readonly links: EarlierLink[];
  readonly unreadable: UnreadableRow[];
}

/** What is restored: everything, or what comes back by itself. */
function chosen(host: Host, { kept }: RestoreRequest): Chosen {
  const past = host.store.earlierBoots();
  const all = past.programs();
  const unreadable = past.unreadable();
  if (!kept || host.config.restore.enabled) return { programs: all, links: past.wishes(), unreadable };
  const links = past.wishes().filter(({ record }) => host.store.program(record.programId)?.keep === true);
  return {
    programs: withNeeds(
      all,
      all.filter(({ record }) => record.keep),
    ),
    links,
    unreadable: unreadable.filter(({ keep }) => keep),
  };
}

async function prepare(runtime: Early, request: RestoreRequest, context: Context): Promise<RestoreInput> {
  const untilMs = performance.now() + request.waitMs;
  if (request.forget !== null || request.dryRun) return { ...request, pulled: new Map(), before: NOTHING, untilMs };
  const host = await runtime.openHost("read");
  try {
    const pulled = await pullLost(host, chosen(host, request).programs, runtime, context);
    return { ...request, pulled, before: NOTHING, untilMs };
  } finally {
    host.close();
  }
}

/** Waits, without the lock, until something has come for which a link waits. Returns null if there is nothing to wait for. */
async function proceed(
  runtime: Early,
  input: RestoreInput,
  before: RestoreAnswer,
  context: Context,
): Promise<RestoreInput | null> {
  const awaited = new Set(before.links.filter(({ code }) => MAY_COME.has(code ?? "")).map(({ link_id }) => link_id));
  if (input.dryRun || awaited.size === 0) return null;
  const host = await runtime.openHost("read");
  try {
    const links = chosen(host, input).links.filter(({ record }) => awaited.has(record.id));
    const hasCome = (): boolean => links.some(({ record }) => obstacle(host, record.details) === null);
    while (performance.now() < input.untilMs) {
      if (hasCome()) return { ...input, before };
      await pause(host, RESTORE_POLL_MS, { signal: context.signal, what: "waiting for interfaces" });
    }
    return null;
  } finally {
    host.close();
  }
}

const waiting = (failure: BpfmanError): Pick<RestoredAnswer, "result" | "code" | "reason"> => ({
  result: "waiting",
  code: failure.code,
  reason: failure.message,
});
const done = (result: "restored" | "planned" | "forgotten") => ({ result, code: null, reason: null }) as const;

const aboutProgram = ({ id, record }: EarlierProgram) => ({
  ...{ was: id, program_id: null, name: record.name, application: applicationOf(record.metadata) },
});
const aboutLink = ({ record }: EarlierLink, program: ProgramId | null) => ({
  ...{ link_id: record.id, program_id: program, place: placeInBrief(record.details) },
});

/** Rows that cannot be decoded, as they are answered. */
function aboutUnreadable(rows: readonly UnreadableRow[], result: "waiting" | "forgotten") {
  const why = ({ reason }: UnreadableRow) =>
    result === "forgotten"
      ? done(result)
      : ({
          result,
          code: "DATABASE_UNUSABLE",
          reason: `its row of the database cannot be understood: column ${reason}`,
        } as const);
  return {
    programs: rows.flatMap((row): RestoredProgramAnswer[] =>
      row.kind === "link" ? [] : [{ was: row.id, program_id: null, name: row.name, application: null, ...why(row) }],
    ),
    links: rows.flatMap((row): RestoredLinkAnswer[] =>
      row.kind === "program"
        ? []
        : [{ link_id: row.id, program_id: null, place: `of program "${row.name}"`, ...why(row) }],
    ),
  };
}

/** Runs a part of the restoration. A failure is its result, for the others are restored; an interruption is not. */
async function attempt<T>(act: () => Promise<T>): Promise<T | BpfmanError> {
  try {
    return await act();
  } catch (thrown) {
    if (thrown instanceof BpfmanError && thrown.code !== "CANCELLED") return thrown;
    throw thrown;
  }
}

class Restoration {
  /** Who owns the maps now that somebody owned then. */
  readonly #owners = new Map<string, ProgramId>();
  readonly #failed = new Set<string>();
  readonly #programs = new Map<string, ProgramId>();
  /** Maps that are there again, by the IDs they had. */
  readonly #maps = new Map<string, MapId>();
  /** Their names, for links, which do not say of which boot they are. */
  readonly #mapNames = new Map<MapId, string>();

  readonly #host: Host;
  readonly #pulled: Pulled;
  readonly #context: Context;

  /** `lost` are programs that cannot come back. */
  constructor(host: Host, pulled: Pulled, lost: readonly EarlierRef[], context: Context) {
    this.#host = host;
    this.#pulled = pulled;
    this.#context = context;
    for (const { bootId, id } of lost) this.#failed.add(refKey(bootId, id));
  }

  /** The program whose maps a group uses: null if it has its own. Throws if it is not there. */
  #ownerFor([first]: Group): ProgramId | null {
    const { mapOwnerId } = first.record;
    if (mapOwnerId === null) return null;
    const key = ownerKey(first);
    if (this.#failed.has(key)) {
      throw new BpfmanError("MAP_OWNER_NOT_FOUND", `program ${mapOwnerId}, whose maps it uses, is not restored`, {
        details: { map_owner_id: mapOwnerId },
      });
    }
    return this.#owners.get(key) ?? this.#nowInPlaceOf(mapOwnerId, first.bootId);
  }

  /** An earlier restore may have brought it back, and another program may have taken its place since. */
  #nowInPlaceOf(id: ProgramId, bootId: string): ProgramId | null {
    const now = successorOf(this.#host, id, bootId)?.record.id;
    // Of one that has gone, the error names it.
    return now ?? this.#host.store.successor(id, bootId)?.id ?? null;
  }

  /** What a program is bound to: an freplace program names the one whose function it replaces by its ID. */
  #functionOf(program: EarlierProgram): string | null {
    const replaced = replacedBy(program);
    if (replaced === null) return program.record.attachFunction;
    const { id, fnName } = replaced;
    const now = this.#programs.get(refKey(program.bootId, id)) ?? this.#nowInPlaceOf(id, program.bootId);
    if (now !== null) return `${now}/${fnName}`;
    throw new BpfmanError("PROGRAM_NOT_FOUND", `program ${id}, of which it replaces a function, is not restored`, {
      details: { program_id: id },
    });
  }

  /** Maps that are not the group's own: those of others' pins, and those that it took from other programs by ID. */
  #mapsFor(group: Group): Record<string, string | number> {
    const taken: Record<string, string | number> = {};
    for (const { bootId, record } of group) {
      for (const { id, name, pinPath, foreign } of record.maps) {
        const now = this.#maps.get(refKey(bootId, id));
        if (foreign && pinPath !== null) taken[name] = pinPath;
        else if (now !== undefined && record.mapOwnerId === null && pinPath === `${record.mapPinPath}/${name}`)
          taken[name] = now;
      }
    }
    return taken;
  }

  async programs(group: Group): Promise<RestoredProgramAnswer[]> {
    const [{ record: first }] = group;
    const loaded = await attempt(async () => {
      const { sourcePath, absoluteSourcePath, image, metadata, keep, globals } = first;
      const fileName = absoluteSourcePath ?? image?.url.replace(/[:@].*$/, "") ?? first.name;
      const sizes = group.flatMap(({ record }) => record.maps).filter(({ entries }) => entries !== undefined);
      const input = {
        source: {
          saved: { bytes: bytesOf(this.#host, first, this.#pulled), fileName, sourcePath, absoluteSourcePath, image },
        },
        programs: group.map((program) => {
          const { name, type } = program.record;
          return { name, type, attachFunction: this.#functionOf(program), actualType: type };
        }),
        globalData: Object.fromEntries(
          Object.entries(globals).map(([name, bytes]) => [name, { base64: bytes.toBase64() }]),
        ),
        ...{ globals: {}, metadata, application: null, keep, mapOwnerId: this.#ownerFor(group) },
        maps: this.#mapsFor(group),
        mapEntries: Object.fromEntries(sizes.map(({ name, entries = 0 }) => [name, entries])),
      };
      const planned = { ...planLoad(this.#host, input, this.#context), restored: group };
      return (await load(this.#host, planned, this.#context)).programs;
    });
    if (loaded instanceof BpfmanError) {
      for (const program of group) this.#failed.add(refKey(program.bootId, program.id));
      return group.map((program) => ({ ...aboutProgram(program), ...waiting(loaded) }));
    }
    return group.map((program, index) => {
      const id = programId(loaded[index]?.record?.program_id ?? 0);
      this.#remember(program, id);
      return { ...aboutProgram(program), ...done("restored"), program_id: id };
    });
  }

  #remember(program: EarlierProgram, id: ProgramId): void {
    const { bootId, record } = program;
    const now = this.#host.store.program(id);
    this.#programs.set(refKey(bootId, record.id), id);
    if (!this.#owners.has(ownerKey(program))) this.#owners.set(ownerKey(program), now?.mapOwnerId ?? id);
    const byName = new Map(now?.maps.map((map) => [map.name, map.id]));
    for (const map of record.maps) {
      const its = byName.get(map.name);
      if (its === undefined) continue;
      this.#maps.set(refKey(bootId, map.id), its);
      this.#mapNames.set(map.id, `${id}/${map.name}`);
    }
  }

  async link(link: EarlierLink): Promise<RestoredLinkAnswer> {
    const { record, xdpMode } = link;
    const { id, createdAt, details, metadata } = record;
    const attached = await attempt(async () => {
      const never = neverAgain(details);
      if (never !== null) throw never;
      const mapName = (map: MapId): string | null => this.#mapNames.get(map) ?? null;
      // The best that the driver can do, as then.
      const around = { mapName, xdpMode: xdpMode === "drv" ? null : xdpMode };
      const request = { programId: record.programId, attach: targetOf(details, around), metadata };
      return attach(this.#host, request, this.#context, { id, createdAt });
    });
    const about = aboutLink(link, record.programId);
    return { ...about, ...(attached instanceof BpfmanError ? waiting(attached) : done("restored")) };
  }
}

/** Members of a chain in their order, all others in the order in which they were attached. */
const inOrder = (links: readonly EarlierLink[]): EarlierLink[] => {
  const position = ({ record: { details } }: EarlierLink): number => (isChained(details) ? details.position : -1);
  return links.toSorted((a, b) => position(a) - position(b) || a.record.id - b.record.id);
};

/** The links of a program that is not there. */
const linksOf = (program: EarlierProgram, why: Pick<RestoredAnswer, "result" | "code" | "reason">) =>
  program.links.map((link) => ({ ...aboutLink(link, null), ...why }));

async function restore(host: Host, input: RestoreInput, context: Context): Promise<RestoreAnswer> {
  if (context.owner !== null) {
    throw new BpfmanError("INVALID_REQUEST", "restore in a session whose programs go with it: they would be lost", {
      hint: "open a session without cleanup",
    });
  }
  const { programs: wanted, unreadable } = chosen(host, input);
  const lost = unreadable.flatMap(({ kind, bootId, id }) => (kind === "program" ? { bootId, id: programId(id) } : []));
  // Before the first of them is loaded: if this command is killed and the machine restarts, this boot is the newest one.
  host.store.transaction(() => [...wanted, ...lost].forEach((each) => host.store.earlierBoots().want(each)));
  const restoration = new Restoration(host, input.pulled, lost, context);
  const { programs, links } = aboutUnreadable(unreadable, "waiting");
  for (const group of groupsOf(wanted)) programs.push(...(await restoration.programs(group)));
  for (const link of inOrder(chosen(host, input).links)) links.push(await restoration.link(link));
  for (const program of chosen(host, input).programs) {
    links.push(
      ...linksOf(program, {
        ...{ result: "waiting", code: "PROGRAM_NOT_FOUND" },
        reason: `program ${program.id} "${program.record.name}" is not restored`,
      }),
    );
  }
  const made = <T extends RestoredAnswer>(list: readonly T[]): T[] =>
    list.filter(({ result }) => result === "restored");
  const { before } = input;
  const answer = {
    dry_run: false,
    programs: [...made(before.programs), ...programs],
    links: [...made(before.links), ...links],
  };
  const left = [...programs, ...links].filter(({ result }) => result === "waiting").length;
  if (left > 0) context.note({ message: `${left} programs and links could not be restored` });
  return answer;
}

function plan(host: Host, input: RestoreInput): RestoreAnswer {
  const { programs, links, unreadable } = chosen(host, input);
  const linkPlan = (link: EarlierLink, program: ProgramId | null): RestoredLinkAnswer => {
    const missing = obstacle(host, link.record.details);
    return { ...aboutLink(link, program), ...(missing === null ? done("planned") : waiting(missing)) };
  };
  const answer = aboutUnreadable(unreadable, "waiting");
  answer.links.push(...inOrder(links).map((link) => linkPlan(link, link.record.programId)));
  for (const program of programs) {
    let result: Pick<RestoredAnswer, "result" | "code" | "reason"> = done("planned");
    try {
      bytesOf(host, program.record, input.pulled);
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError)) throw thrown;
      // An image is pulled again.
      if (program.record.image === null) result = waiting(thrown);
    }
    answer.programs.push({ ...aboutProgram(program), ...result });
    answer.links.push(
      ...(result.result === "waiting" ? linksOf(program, result) : program.links.map((link) => linkPlan(link, null))),
    );
  }
  return { dry_run: true, ...answer };
}

function forget(host: Host, what: NonNullable<RestoreRequest["forget"]>): RestoreAnswer {
  const past = host.store.earlierBoots();
  const all = past.programs();
  const unreadable = past
    .unreadable()
    .filter(({ kind, id }) =>
      "link" in what ? kind === "link" && id === what.link : kind === "program" && id === what.program,
    );
  if ("link" in what) {
    const id: LinkId = linkId(what.link);
    const waits = [...past.wishes(), ...all.flatMap(({ links }) => links)].find(({ record }) => record.id === id);
    if (waits === undefined && unreadable.length === 0) throw nothingWaits("LINK_NOT_FOUND", "link", id);
    past.forgetLink(id);
    if (waits === undefined) return { ...NOTHING, ...aboutUnreadable(unreadable, "forgotten") };
    return { ...NOTHING, links: [{ ...aboutLink(waits, null), ...done("forgotten") }] };
  }
  const programs = all.filter(({ id }) => id === what.program);
  if (programs.length + unreadable.length === 0) throw nothingWaits("PROGRAM_NOT_FOUND", "program", what.program);
  // The next command that changes something removes the bytecode of these.
  for (const { bootId, id } of unreadable) past.forgetProgram({ bootId, id: programId(id) });
  for (const program of programs) {
    past.forgetProgram(program);
    const { bytecodePath } = program.record;
    if (host.store.bytecodeUses(bytecodePath) === 0) host.files.removeBytecode(bytecodePath);
  }
  return {
    dry_run: false,
    programs: [
      ...aboutUnreadable(unreadable, "forgotten").programs,
      ...programs.map((each) => ({ ...aboutProgram(each), ...done("forgotten") })),
    ],
    links: programs.flatMap((each) => linksOf(each, done("forgotten"))),
  };
}

const nothingWaits = (code: "PROGRAM_NOT_FOUND" | "LINK_NOT_FOUND", what: string, id: number): BpfmanError =>
  new BpfmanError(code, `no ${what} waits that had the id ${id}`, {
    details: { [`${what}_id`]: id },
    hint: "bpfman restore --dry-run lists what waits",
  });

const isNothing = ({ programs, links, unreadable }: Chosen): boolean =>
  programs.length + links.length + unreadable.length === 0;

export const implementation = operation({
  request: restoreRequest,
  prepare,
  check: (host: Host, input: RestoreInput) => isNothing(chosen(host, input)),
  proceed,
  onlyReads: ({ dryRun }: RestoreRequest) => dryRun,
  run: async (host: Host, input: RestoreInput, context: Context): Promise<RestoreAnswer> => {
    if (input.forget !== null) return forget(host, input.forget);
    return input.dryRun ? plan(host, input) : restore(host, input, context);
  },
});
