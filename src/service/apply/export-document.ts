/** The reverse of an apply: the document that names what is there. */
import { ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import type { MapId } from "../../domain/ids.ts";
import { isChained, type LinkRecord } from "../../domain/link.ts";
import {
  APPLICATION_KEY,
  applicationOf,
  type Metadata,
  loadKey,
  NOUN_APPLICATION_KEY,
  type ProgramRecord,
} from "../../domain/program.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import { readObject } from "../../object/object-file.ts";
import type { Host } from "../../platform/host.ts";
import { targetOf } from "../attach/target-of.ts";
import { placeOf } from "../chain/place.ts";
import { needsSize } from "../load/map-shape.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { savedBytecode } from "../saved-bytecode.ts";

type Written = Record<string, unknown>;

/** The object of some programs. */
export interface ExportedObject {
  readonly programs: readonly ProgramRecord[];
  readonly application: string | null;
  /** Its fields in a document, but where it comes from. */
  readonly entry: Written;
}

export interface Exported {
  readonly objects: readonly ExportedObject[];
  /** What a document cannot say, for people. */
  readonly left: readonly string[];
}

export function exportedObjects(host: Host, records: readonly ProgramRecord[]): Exported {
  const links = host.store.links();
  const left: string[] = [];
  const attachments = attachmentsOf(host, { links, dispatchers: host.store.dispatchers() });
  const all = new Map(host.store.programs().map((record) => [record.id, record]));
  const attach = (record: ProgramRecord): Written[] =>
    links
      .filter(({ programId }) => programId === record.id)
      .flatMap((link): Written[] => {
        const attachment = attachments.ofLink(link);
        if (attachment?.present === false) {
          left.push(`link ${link.id} of ${record.name}, because what it was attached to is gone`);
          return [];
        }
        return [attachmentOf(host, link, { record, iface: attachment?.interface ?? null, all })];
      });
  const objects = [...Map.groupBy(records, loadKey).values()].map((programs) => {
    const [first] = programs as [ProgramRecord];
    const application = applicationOf(first.metadata);
    const entry = compact({
      programs: programs.map((record) =>
        compact({
          name: record.name,
          type: record.type,
          attachFunction: record.attachFunction,
          attach: attach(record),
        }),
      ),
      globalData: Object.fromEntries(Object.entries(first.globals).map(([name, bytes]) => [name, bytes.toHex()])),
      metadata: metadataOf(first.metadata, application),
      mapOwner: mapOwnerOf(first, all, left),
      ...mapsOf(host, programs),
    });
    return { programs, application, entry };
  });
  return { objects, left };
}

/** Leaves out what a document need not say. */
const compact = (fields: Written): Written =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) =>
        value !== null && value !== undefined && (typeof value !== "object" || Object.keys(value as object).length > 0),
    ),
  );

/** An apply writes the first key by itself. */
function metadataOf(metadata: Metadata, application: string | null): Metadata {
  if (Object.hasOwn(metadata, NOUN_APPLICATION_KEY)) return metadata;
  const { [APPLICATION_KEY]: own, ...rest } = metadata;
  return own === application ? rest : metadata;
}

/** NAME of the same application, or APPLICATION/NAME; an empty one stands for none. */
function mapOwnerOf(record: ProgramRecord, all: ReadonlyMap<number, ProgramRecord>, left: string[]): string | null {
  if (record.requestedMapOwnerId === null) return null;
  const owner = all.get(record.requestedMapOwnerId);
  if (owner === undefined) {
    left.push(
      `that ${record.name} shares maps, because program ${record.requestedMapOwnerId}, which had them, is gone`,
    );
    return null;
  }
  const application = applicationOf(owner.metadata);
  return application === applicationOf(record.metadata) ? owner.name : `${application ?? ""}/${owner.name}`;
}

interface Around {
  readonly record: ProgramRecord;
  /** What it is called now. */
  readonly iface: string | null;
  readonly all: ReadonlyMap<number, ProgramRecord>;
}

function attachmentOf(host: Host, link: LinkRecord, { record, iface, all }: Around): Written {
  const { details } = link;
  const mapName = (id: MapId): string | null => {
    for (const each of all.values()) {
      const map = each.maps.find((own) => own.id === id);
      const application = applicationOf(each.metadata);
      if (map !== undefined) return application === null ? map.name : `${application}/${map.name}`;
    }
    return null;
  };
  const chain = isChained(details) ? host.store.dispatcher(placeOf(details).key) : null;
  const usual = "interface" in details ? (host.config.interfaces.get(details.interface)?.xdpMode ?? "drv") : null;
  const mode = chain?.type === "xdp" ? chain.mode : null;
  const target: AttachTarget = targetOf(details, { mapName, xdpMode: mode === usual ? null : mode });
  const shared = Object.entries(record.metadata).filter(
    ([key]) => key === APPLICATION_KEY || key === NOUN_APPLICATION_KEY,
  );
  const own = Object.entries(link.metadata).filter(
    ([key, value]) => !shared.some(([k, v]) => k === key && v === value),
  );
  const fields: Written = { ...target, metadata: Object.fromEntries(own) };
  if (iface !== null && "iface" in target) fields.iface = iface;
  if (isChained(details)) {
    const usually = details.kind === "xdp" ? XDP_PROCEED_ON_DEFAULT : TC_PROCEED_ON_DEFAULT;
    const numbers = usually.map((word) => (ACTIONS[details.kind] as Readonly<Record<string, number>>)[word] as number);
    if ([...details.proceedOn].sort().join() === numbers.sort().join()) delete fields.proceedOn;
  }
  for (const [name, value] of Object.entries({ offset: 0, defrag: false }))
    if (fields[name] === value) delete fields[name];
  return compact(fields);
}

/** Maps that were there before, by their pins, and sizes other than those in the object. */
function mapsOf(host: Host, programs: readonly ProgramRecord[]): { maps: Written; mapEntries: Written } {
  const maps: Written = {};
  const mapEntries: Written = {};
  const [first] = programs as [ProgramRecord];
  const used = new Map(programs.flatMap((record) => record.maps.map((map) => [map.name, map] as const)));
  for (const { name, pinPath, foreign } of used.values())
    if (foreign === true && pinPath !== null) maps[name] = pinPath;
  if (first.requestedMapOwnerId !== null) return { maps, mapEntries };
  for (const { name, type, maxEntries } of definedMaps(host, first)) {
    const map = used.get(name);
    if (map === undefined || map.pinPath === null || map.foreign === true) continue;
    const is = host.kernel.map(map.id)?.maxEntries;
    if (is !== undefined && is !== maxEntries && ((maxEntries ?? 0) > 0 || needsSize(type))) mapEntries[name] = is;
  }
  return { maps, mapEntries };
}

function definedMaps(host: Host, record: ProgramRecord) {
  try {
    return readObject(savedBytecode(host, record), {}).maps;
  } catch {
    return [];
  }
}

/** A document as text, behind its comments. */
export async function asYaml(document: object, comments: readonly string[]): Promise<string> {
  const { stringify } = await import("yaml");
  const text = stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
  return `${comments.map((line) => `# ${line}\n`).join("")}${text}`;
}
