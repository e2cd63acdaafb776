/** Finds files in the runtime directory that no row names. */
import { DISPATCHER_TYPES } from "../../domain/dispatcher.ts";
import type { Host } from "../../platform/host.ts";
import type { RowInBrief, RowsInOutline } from "../../platform/store.ts";
import type { Context } from "../operation.ts";
import { removeRecorded } from "../own-pins.ts";

/** How many names a warning lists; the others are counted. */
const NAMED_MAX = 5;

/** Lists a few names: `a, b, c, d, e and 12 more`. */
export const inBrief = (names: readonly (string | number)[]): string =>
  `${names.slice(0, NAMED_MAX).join(", ")}${names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : ""}`;

/** Returns the names in a directory of pins. */
export type Listing = (directory: string) => readonly string[];

/** Lists each directory once: under the writer lock, what is there later was there then, though it may have been removed. */
export function listedOnce({ pins }: Host): Listing {
  const listed = new Map<string, readonly string[]>();
  return (directory) => {
    const names = listed.get(directory) ?? pins.list(directory);
    listed.set(directory, names);
    return names;
  };
}

/**
 * Returns the pins of programs, links and chains that no row names, ascending. An intact database has none, because
 * rows are written before pins and deleted after them: either rows were lost, or the pins are another database's.
 */
export function strayPins(host: Host, list: Listing, readRows: () => readonly RowInBrief[]): string[] {
  // Listed before the rows are read: any pin that exists now already had its row.
  const names = namesOfRows(host, list);
  const ofChains = pinsOfChains(host, list);
  if (names.programs.length + names.links.length + ofChains.length === 0) return [];
  if (ofChains.length === 0 && areRecorded(host, names, outlineOf(host))) return [];
  const found = pinsOfRows(host, names);
  const rows = readRows();
  const named = new Set(rows.flatMap((row) => ("pinPath" in row ? row.pinPath : [])));
  const chains = ofChains.length === 0 ? new Set<string>() : chainPins(host);
  const stray = [...found.filter((pin) => !named.has(pin)), ...ofChains.filter((pin) => !chains.has(pin))];
  // A concurrent command removed both pin and row.
  return stray.filter((pin) => host.pins.exists(pin)).sort();
}

/**
 * Reports whether each row is settled and has its pin, and each pin, directory and object file has its row, as is usual: then
 * there is nothing to recover. Costs little however many rows there are. To be called under the writer lock.
 */
export function isIntact(host: Host, list: Listing): boolean {
  const { pins, store, files } = host;
  const outline = outlineOf(host);
  if (outline.unsettled > 0 || !areRecorded(host, namesOfRows(host, list), outline)) return false;
  if (pinsOfChains(host, list).length > 0) return false;
  if (list(pins.paths.root).includes(nameOf(pins.paths.testDispatchers))) return false;
  const directories = list(`${pins.paths.root}/maps`);
  if (directories.length > 0) {
    const inUse = store.mapDirectories();
    if (!directories.every((name) => inUse.has(`${pins.paths.root}/maps/${name}`))) return false;
  }
  const stored = files.storedBytecode().map(files.bytecodePath);
  const areUsed = (paths: ReadonlySet<string>): boolean => stored.every((path) => paths.has(path));
  return areUsed(new Set(outline.bytecode)) || areUsed(store.bytecodePaths());
}

const PROGRAM = "prog_";
const LINKS = "links";

/** Names of what is there for programs and links. */
interface Names {
  readonly programs: readonly string[];
  readonly links: readonly string[];
}

const namesOfRows = ({ pins: { paths } }: Host, list: Listing): Names => ({
  programs: list(paths.root).filter((name) => name.startsWith(PROGRAM)),
  links: list(`${paths.root}/${LINKS}`),
});

const outlineOf = ({ pins: { paths }, store }: Host): RowsInOutline => store.outline(`${paths.root}/${PROGRAM}`);

/** The pins of programs and links among them. */
const pinsOfRows = ({ pins: { paths } }: Host, { programs, links }: Names): string[] => [
  ...below(() => programs, paths.root, /^prog_[0-9]+$/),
  ...below(() => links, `${paths.root}/${LINKS}`, /^[0-9]+(_[0-9]+)?$/),
];

function pinsOfChains({ pins: { paths } }: Host, list: Listing): string[] {
  const found: string[] = [];
  for (const type of DISPATCHER_TYPES) found.push(...below(list, paths.chains(type), CHAIN));
  return found;
}

/**
 * Reports whether these are exactly the pins that rows record. Thousands of programs are compared as numbers, by the engine; if
 * that does not show it, the caller looks at one after the other.
 */
function areRecorded(host: Host, { programs, links }: Names, outline: RowsInOutline): boolean {
  if (outline.pinnedElsewhere > 0) return false;
  const ids = programs.map((name) => name.slice(PROGRAM.length)).join();
  if (programs.length > 0 && (NO_IDS.test(ids) || programs.some((name) => name.includes(",")))) return false;
  if (Buffer.compare(ascending(ids), ascending(outline.programs)) !== 0) return false;
  const recorded = new Set(outline.links);
  const found = pinsOfRows(host, { programs: [], links });
  return recorded.size === found.length && found.every((pin) => recorded.has(pin));
}

/** What is in no list of IDs. Without zeros at their front, equal numbers are equal names. */
const NO_IDS = /[^0-9,]|(^|,)(0|,|$)/;

const ascending = (ids: string): Uint8Array =>
  new Uint8Array(new Float64Array(JSON.parse(`[${ids}]`) as number[]).sort().buffer);

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Names of revisions and XDP links of chains. */
const CHAIN = /^dispatcher_[0-9]+_[0-9]+_([0-9]+|link)$/;

/** Returns the paths whose names have the form of bpfman's. */
function below(list: Listing, directory: string, ours: RegExp): string[] {
  const paths: string[] = [];
  // There can be thousands, and methods of arrays cost more.
  for (const name of list(directory)) if (ours.test(name)) paths.push(`${directory}/${name}`);
  return paths;
}

/** Returns the paths that the rows of chains name: links, and directories of revisions. */
function chainPins(host: Host): Set<string> {
  const { paths } = host.pins;
  return new Set(
    host.store
      .dispatchers()
      .flatMap((record) => [
        paths.xdpLink(record),
        paths.revision(record, record.revision),
        ...(record.pendingRevision === null ? [] : [paths.revision(record, record.pendingRevision)]),
      ]),
  );
}

/**
 * Returns a warning about pins without rows; null if there are none. What a change was going to remove is recorded until it is
 * gone: if it died, the next one removes it.
 */
export function strayWarning(host: Host, list: Listing, readRows: () => readonly RowInBrief[]): string | null {
  const pins = strayPins(host, list, readRows).filter((pin) => host.store.recordedPins(pin).length === 0);
  if (pins.length === 0) return null;
  return (
    `pins that the database does not record: ${inBrief(pins)}; rows were lost, or the pins belong to another ` +
    'database: what they hold keeps running, unlisted; "bpfman doctor" says more'
  );
}

/**
 * Removes copies of object files that no row names. To be called under the writer lock, when nobody is making any, and if there
 * are no pins without rows: `repair` may need them for the copy.
 */
export function removeUnusedBytecode(host: Host, rows: readonly RowInBrief[], context: Context): void {
  const here = new Set(rows.flatMap((row) => (row.kind === "program" ? row.bytecodePath : [])));
  const unknown = host.files
    .storedBytecode()
    .map(host.files.bytecodePath)
    .filter((path) => !here.has(path));
  if (unknown.length === 0) return;
  const recorded = host.store.bytecodePaths();
  for (const path of unknown) {
    if (recorded.has(path)) continue;
    host.files.removeBytecode(path);
    context.log.info("removed bytecode that the database does not record", { path });
  }
}

/**
 * Removes what a dead command left that holds nothing: directories for pins that are empty; and what earlier versions
 * verified programs against. To be called under the writer lock, when nobody is making any.
 */
export function removeLeftovers(host: Host, list: Listing, rows: readonly RowInBrief[], context: Context): void {
  const { paths } = host.pins;
  if (list(paths.root).some((name) => `${paths.root}/${name}` === paths.testDispatchers)) {
    removeRecorded(host, paths.testDispatchers);
  }
  const inUse = new Set(rows.flatMap((row) => (row.kind === "program" ? row.mapPinPath : [])));
  const mapDirectories = below(list, `${paths.root}/maps`, /^[0-9]+$/).filter((directory) => !inUse.has(directory));
  const revisions = DISPATCHER_TYPES.flatMap((type) =>
    below(list, paths.chains(type), CHAIN).filter((path) => !path.endsWith("_link")),
  );
  const current = revisions.length === 0 ? new Set<string>() : chainPins(host);
  for (const directory of [...mapDirectories, ...revisions.filter((each) => !current.has(each))]) {
    if (host.pins.removeDirectory(directory)) context.log.info("removed an empty directory", { directory });
  }
}
