/** From documents to what is to be there: applications in the order in which they can be loaded. */
import { APPLICATION_KEY, applicationOf, type Metadata } from "../../domain/program.ts";
import type { LoadInput } from "../operations/load.ts";
import type { LoadRequest } from "../requests/load-request.ts";
import type { ObjectEntry } from "./document.ts";
import { documentError, type Place } from "./place.ts";
import type { ReadDocument } from "./read-documents.ts";

export interface DesiredObject {
  readonly application: string | null;
  readonly origin: string;
  readonly entry: ObjectEntry;
  readonly metadata: Metadata;
  /** Where it, or one of its fields, is written. */
  at(...path: readonly PropertyKey[]): Place;
  /** The object whose program owns the maps that it shares; null if no document has that program. */
  owner: { readonly object: DesiredObject; readonly program: string } | null;
  /** As a request to load, but for the owner of maps. */
  readonly request: Omit<LoadRequest, "mapOwnerId">;
  /** Set once images are pulled. */
  source: LoadInput["source"] | null;
}

/** What is there after an apply as a whole, or not at all. */
export interface Unit {
  readonly application: string | null;
  readonly objects: readonly DesiredObject[];
}

/** Returns what documents name, owners of maps first. Throws INVALID_DOCUMENT for what contradicts itself. */
export function desiredUnits(documents: readonly ReadDocument[], absolute: (path: string) => string): Unit[] {
  const units = new Map<string | null, DesiredObject[]>();
  const places = new Map<string, Place>();
  for (const document of documents) {
    const { state, locate } = document;
    for (const [name, { objects, metadata }] of Object.entries(state.applications)) {
      const place = locate(["applications", name]);
      const before = places.get(name);
      if (before !== undefined) {
        const where = `"${before.file}", line ${before.line}`;
        throw documentError(place, `application "${name}" is there twice: also in ${where}`, "put both into one");
      }
      places.set(name, place);
      const path = ["applications", name, "objects"];
      units.set(
        name,
        objects.map((entry, at) => objectOf(document, name, { entry, path: [...path, at], metadata }, absolute)),
      );
    }
    const own = state.objects.map((entry, at) =>
      objectOf(document, null, { entry, path: ["objects", at], metadata: {} }, absolute),
    );
    if (own.length > 0) units.set(null, [...(units.get(null) ?? []), ...own]);
  }
  const all = [...units.values()].flat();
  for (const object of all) object.owner = ownerOf(object, all);
  const before = (object: DesiredObject): DesiredObject[] => (object.owner === null ? [] : [object.owner.object]);
  inOrder(all, before, (object) => object.at("mapOwner"));
  const list = [...units].map(([application, objects]) => ({
    application,
    objects: inOrder(objects, (each) => before(each).filter((other) => other.application === application), atStart),
  }));
  const needed = ({ objects, application }: Unit): Unit[] =>
    list.filter(
      (unit) =>
        unit.application !== application &&
        objects.some(({ owner }) => unit.objects.some((each) => each === owner?.object)),
    );
  return inOrder(list, needed, ({ objects }) => atStart(objects[0] as DesiredObject));
}

const atStart = (object: DesiredObject): Place => object.at();

interface Written {
  readonly entry: ObjectEntry;
  readonly path: readonly PropertyKey[];
  /** Of the application. */
  readonly metadata: Metadata;
}

function objectOf(
  { directory, origin, locate }: ReadDocument,
  application: string | null,
  { entry, path, metadata: shared }: Written,
  absolute: (path: string) => string,
): DesiredObject {
  const at = (...below: readonly PropertyKey[]): Place => locate([...path, ...below]);
  const metadata = { ...shared, ...entry.metadata };
  const named = applicationOf(metadata);
  if (named !== null && named !== application) {
    const of = application === null ? "no application" : `application "${application}"`;
    throw documentError(at("metadata"), `the metadata name application "${named}", but the object is of ${of}`);
  }
  const { path: file, image, globals, globalData, maps, mapEntries } = entry;
  const inDirectory = (each: string): string => absolute(each.startsWith("/") ? each : `${directory}/${each}`);
  const source = file === undefined ? null : { file: inDirectory(file) };
  return {
    ...{ application, origin, entry, at, metadata, owner: null, source },
    request: {
      source: source ?? { image: image as NonNullable<typeof image> },
      programs: entry.programs.map(({ attach: _, ...selector }) => selector),
      ...{ globals, globalData, mapEntries },
      maps: Object.fromEntries(
        Object.entries(maps).map(([name, map]) => [name, typeof map === "string" ? inDirectory(map) : map]),
      ),
      metadata: named === null && application !== null ? { ...metadata, [APPLICATION_KEY]: application } : metadata,
      application: null,
    },
  };
}

/** Throws INVALID_DOCUMENT if several programs have that name. */
function ownerOf(object: DesiredObject, all: readonly DesiredObject[]): DesiredObject["owner"] {
  const { mapOwner } = object.entry;
  if (mapOwner === null) return null;
  const slash = mapOwner.lastIndexOf("/");
  const application = slash < 0 ? object.application : mapOwner.slice(0, slash) || null;
  const program = mapOwner.slice(slash + 1);
  const found = all.filter(
    (each) => each.application === application && each.entry.programs.some(({ name }) => name === program),
  );
  if (found.length > 1) throw documentError(object.at("mapOwner"), `several programs are called "${mapOwner}"`);
  const [owner] = found;
  return owner === undefined ? null : { object: owner, program };
}

/** Puts each behind what it needs. Throws INVALID_DOCUMENT for a cycle. */
function inOrder<T>(all: readonly T[], needs: (each: T) => readonly T[], place: (each: T) => Place): T[] {
  const done = new Set<T>();
  const begun = new Set<T>();
  // Not by calling itself: a chain of owners can be as long as a document.
  const open = all.toReversed();
  while (open.length > 0) {
    const each = open.at(-1) as T;
    const missing = done.has(each) ? [] : needs(each).filter((other) => !done.has(other));
    if (missing.length === 0) {
      done.add(each);
      open.pop();
      continue;
    }
    if (begun.has(each)) {
      throw documentError(place(each), "programs share each other's maps in a circle", "let one of them own the maps");
    }
    begun.add(each);
    open.push(...missing);
  }
  return [...done];
}
