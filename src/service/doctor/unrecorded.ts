/**
 * Finds what is pinned without a row, and rebuilds rows: from the copies that are kept beside the pins, each of which counts
 * only if the kernel has the object that it names, at its pin or on its hook.
 */
import { DISPATCHER_TYPES, type DispatcherKey, type DispatcherRecord } from "../../domain/dispatcher.ts";
import { programId } from "../../domain/ids.ts";
import { isChained } from "../../domain/link.ts";
import { linkPin, type Pin, programPin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { PinnedHandle, TcHook } from "../../platform/kernel.ts";
import type { RowCopy } from "../../platform/store.ts";
import { kernelHook, placeOf, sameKey } from "../chain/place.ts";
import { removeAtRest } from "../chain/rebuild.ts";
import type { Context } from "../operation.ts";
import type { Plan } from "../plan.ts";
import { strayPins } from "../recovery/strays.ts";
import { adoptable } from "./adopt.ts";
import { type Found, finding, type Mend } from "./finding.ts";
import { isThere } from "./pinning.ts";
import type { Rows } from "./rows.ts";

type Known = Pick<Rows, "brief" | "dispatchers" | "copies">;

/** Returns the copies without a row whose object is in the kernel, in an order in which their rows can be written. */
export function confirmedCopies(host: Host, { brief, dispatchers, copies }: Known): RowCopy[] {
  const known = (kind: "program" | "link"): Set<number> =>
    new Set(brief.flatMap((row) => (row.kind === kind ? [row.id as number] : [])));
  const [programs, links] = [known("program"), known("link")];
  const restored = copies.flatMap((copy) => {
    if (copy.kind !== "program" || programs.has(copy.record.id)) return [];
    return isThere(host, programPin(copy.record.pinPath, copy.record.id)) ? [copy] : [];
  });
  for (const { record } of restored) programs.add(record.id);
  const chains = copies.flatMap((copy) => {
    const isNew = copy.kind === "dispatcher" && !dispatchers.some((record) => sameKey(record, copy.record));
    return isNew && isOnHook(host, copy.record) ? [copy] : [];
  });
  const hooks = [...dispatchers, ...chains.map(({ record }) => record)];
  const attached = copies.filter((copy) => {
    if (copy.kind !== "link" || copy.state === "pending" || links.has(copy.record.id)) return false;
    const { details, pinPath, kernelLinkId, programId: program } = copy.record;
    if (!programs.has(program)) return false;
    if (!isChained(details)) return kernelLinkId !== null && isThere(host, linkPin(pinPath, kernelLinkId));
    const { key } = placeOf(details);
    const chain = hooks.find((record) => sameKey(record, key));
    if (chain === undefined) return false;
    return chain.programId === program || (kernelLinkId !== null && isThere(host, linkPin(pinPath, kernelLinkId)));
  });
  return [...restored, ...attached, ...chains];
}

/** Reports whether a chain of that row is on its hook: its link is pinned, or its filter runs its program. */
function isOnHook(host: Host, record: DispatcherRecord): boolean {
  if (record.revision === 0 || record.programId === null) return false;
  if (record.type === "xdp") {
    return record.kernelLinkId !== null && isThere(host, linkPin(host.pins.paths.xdpLink(record), record.kernelLinkId));
  }
  const { interface: name, netns, filter, programId: program } = record;
  try {
    const runsIt = (hook: TcHook): boolean => host.kernel.tcFilterProgram(hook, filter) === program;
    return runsIt(kernelHook(host, { key: record, interface: name, netns }, runsIt));
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return false;
    throw thrown;
  }
}

/** Writes the rows of copies, and records the pins of the chains among them. */
export function restoreRows(host: Host, copies: readonly RowCopy[]): void {
  host.store.transaction(() => {
    host.store.restore(copies);
    for (const copy of copies) if (copy.kind === "dispatcher") host.store.recordPins(pinsOfChain(host, copy.record));
  });
}

const OF_CHAIN = /^(dispatcher|link_[0-9]+|twin_[0-9]+)$/;

/** Returns the pins of all revisions of a chain, and of its XDP link. */
function pinsOfChain(host: Host, key: DispatcherKey): Pin[] {
  const { paths } = host.pins;
  const prefix = `dispatcher_${key.nsid}_${key.ifindex}_`;
  const directories = host.pins
    .list(paths.chains(key.type))
    .filter((name) => name.startsWith(prefix) && /_[0-9]+$/.test(name));
  const found = directories.flatMap((directory) => pinsIn(host, `${paths.chains(key.type)}/${directory}`));
  return key.type === "xdp" ? [...found, ...(pinAt(host, paths.xdpLink(key)) ?? [])] : found;
}

const pinsIn = (host: Host, directory: string): Pin[] =>
  host.pins.list(directory).flatMap((name) => (OF_CHAIN.test(name) ? (pinAt(host, `${directory}/${name}`) ?? []) : []));

function pinAt(host: Host, path: string): [Pin] | null {
  const handle = host.kernel.openPin(path);
  handle?.close();
  return handle === null ? null : [{ path, kind: handle.kind, id: handle.id }];
}

export function checkUnrecorded(host: Host, rows: Rows, context: Context): Found[] {
  const confirmed = confirmedCopies(host, rows);
  const run = (): void => restoreRows(host, confirmed);
  const found = confirmed.map((copy) => restoring(host, copy, run));
  const covered = new Set(confirmed.flatMap((copy) => pathsOf(host, copy)));
  const stray = strayPins(host, host.pins.list, () => rows.brief).filter((path) => !covered.has(path));
  return [
    ...found,
    ...stray.map((path) => checkStray(host, path, rows, context)),
    ...checkMapDirectories(host, rows, confirmed),
  ];
}

const nameOf = (copy: RowCopy): string => {
  if (copy.kind === "program") return `program ${copy.record.id} "${copy.record.name}"`;
  return copy.kind === "link"
    ? `link ${copy.record.id}`
    : `the chain on ${copy.record.interface} (${copy.record.type})`;
};

function pathsOf(host: Host, copy: RowCopy): string[] {
  if (copy.kind !== "dispatcher") return [copy.record.pinPath];
  const { paths } = host.pins;
  const { record } = copy;
  return [
    paths.xdpLink(record),
    paths.revision(record, record.revision),
    paths.revision(record, record.pendingRevision ?? 0),
  ];
}

export const restoration = (copy: RowCopy): string => `write the row of ${nameOf(copy)} again`;

/** All rows are written at once, because they refer to each other. */
function restoring(host: Host, copy: RowCopy, run: () => void): Found {
  const name = nameOf(copy);
  const mend: Mend = { stage: "records", action: restoration(copy), run };
  const [pin = ""] = pathsOf(host, copy);
  return finding("pin-unrecorded", `${name} is in use, but its row is missing`, { pin }, { mend });
}

function checkStray(host: Host, path: string, rows: Rows, context: Context): Found {
  const { root } = host.pins.paths;
  const program = /^prog_([0-9]+)$/.exec(path.slice(root.length + 1))?.[1];
  if (program !== undefined) {
    const record = adoptable(host, programId(Number(program)));
    if (record === null) return unknown(host, path);
    const action = `write a row for program ${record.id} "${record.name}" from the kernel and its object file`;
    const mend: Mend = { stage: "records", action, run: () => host.store.insertProgram(record, "ready") };
    const what = `program ${record.id} "${record.name}" is pinned, but its row is missing`;
    return finding("pin-unrecorded", what, { pin: path, program_id: record.id }, { mend });
  }
  const revision = /\/(xdp|tc-ingress|tc-egress)\/dispatcher_([0-9]+)_([0-9]+)_[0-9]+$/.exec(path);
  if (revision !== null) {
    const type = DISPATCHER_TYPES.find((each) => each === revision[1]) as DispatcherKey["type"];
    const key = { type, nsid: Number(revision[2]), ifindex: Number(revision[3]) };
    const pins = pinsIn(host, path);
    const names = host.pins.list(path);
    if (pins.length === names.length && isAtRest(host, { key, pins, rows })) {
      const run = (): void => {
        context.log.info("removing a revision that nothing uses", { directory: path });
        host.store.recordPins(pins);
        removeAtRest(host, path);
      };
      const mend: Mend = { stage: "rest", action: `remove the ${pins.length} pins in ${path}`, run };
      return finding("revision-left", `${path} is recorded nowhere, and on no hook`, { path, pins: names }, { mend });
    }
  }
  return unknown(host, path);
}

/** Reports whether nothing attaches a revision's dispatcher, as far as can be known. */
function isAtRest(
  host: Host,
  { key, pins, rows }: { readonly key: DispatcherKey; readonly pins: readonly Pin[]; readonly rows: Rows },
): boolean {
  const dispatcher = pins.find(({ path }) => path.endsWith("/dispatcher"));
  if (dispatcher === undefined) return true;
  if (key.type === "xdp") {
    return !host.kernel.linkIds().some((id) => {
      const link = host.kernel.link(id);
      return link?.programId === dispatcher.id && link.facts?.kind === "xdp" && link.facts.ifindex !== 0;
    });
  }
  // A hook has one filter of bpfman's, and this one runs another program.
  return rows.dispatchers.some((record) => sameKey(record, key) && record.programId !== dispatcher.id);
}

function unknown(host: Host, path: string): Found {
  let holds = "something that is no pin";
  try {
    const [pin] = pinAt(host, path) ?? [];
    holds = pin === undefined ? "a directory" : `${pin.kind} ${pin.id}`;
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError)) throw thrown;
  }
  return finding("pin-unknown", `${path} holds ${holds}, which nothing records`, { path, holds });
}

/** Finds directories of maps that no program uses. Programs that are pinned without a row keep theirs. */
function checkMapDirectories(host: Host, { brief }: Rows, confirmed: readonly RowCopy[]): Found[] {
  const { root, program } = host.pins.paths;
  const inUse = new Set([
    ...brief.flatMap((row) => (row.kind === "program" ? row.mapPinPath : [])),
    ...confirmed.flatMap((copy) => (copy.kind === "program" ? copy.record.mapPinPath : [])),
  ]);
  return host.pins.list(`${root}/maps`).flatMap((name) => {
    const directory = `${root}/maps/${name}`;
    if (!/^[0-9]+$/.test(name) || inUse.has(directory) || host.pins.exists(program(programId(Number(name))))) return [];
    const maps = host.pins.list(directory);
    if (maps.length === 0) return [];
    const mend: Mend = {
      stage: "rest",
      action: `remove the pins of ${maps.length} maps in ${directory}`,
      run: (steps) => removeMaps(host, { directory, maps }, steps),
    };
    const what = `${directory} has pins of maps of a program that is gone`;
    return [finding("maps-left", what, { path: directory, maps }, { mend })];
  });
}

/** They are held open, so that they can be pinned again if one of them cannot be removed. */
async function removeMaps(
  host: Host,
  { directory, maps }: { readonly directory: string; readonly maps: readonly string[] },
  steps: Plan,
): Promise<void> {
  const handles: PinnedHandle[] = [];
  try {
    for (const name of maps) {
      const path = `${directory}/${name}`;
      const handle = host.kernel.openPin(path);
      if (handle === null) continue;
      handles.push(handle);
      if (handle.kind !== "map")
        throw new BpfmanError("STATE_CONFLICT", `remove the maps in ${directory}: "${name}" is a ${handle.kind}`);
      await steps.step(
        `unpin map ${handle.id}`,
        () => host.pins.remove(path),
        () => handle.pin(path),
      );
    }
    host.pins.removeDirectory(directory);
  } finally {
    for (const handle of handles) handle.close();
  }
}
