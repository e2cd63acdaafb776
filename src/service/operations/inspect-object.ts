import type { InspectedMapAnswer, ObjectInspectAnswer } from "../../domain/inspect-answer.ts";
import { programTypeWord } from "../../domain/kernel-words.ts";
import { mapTypeJson } from "../../domain/map-type-words.ts";
import { kernelTypeOf, KINDS } from "../../domain/kinds.ts";
import { OBJECT_BYTES_MAX } from "../../domain/limits.ts";
import type { ObjectMap } from "../../domain/object-file.ts";
import { readContents } from "../../object/contents.ts";
import { requirementsOf } from "../../object/requirements.ts";
import type { Host } from "../../platform/host.ts";
import type { Sources } from "../../platform/runtime.ts";
import type { PulledImage } from "../../platform/images.ts";
import { type Context, operation } from "../operation.ts";
import { readNamedObject } from "../read-object.ts";
import { type InspectObjectRequest, inspectObjectRequest } from "../requests/object-requests.ts";

type Subject = Pick<InspectObjectRequest, "file" | "object"> | { readonly fetched: PulledImage };

async function fetchImage(sources: Sources, request: InspectObjectRequest, context: Context): Promise<Subject> {
  const { image } = request;
  if (image === undefined) return request;
  const { url, registryAuth } = image;
  return { fetched: await (await sources.openImages()).fetch({ reference: url, registryAuth }, context) };
}

/** Licences that the kernel takes for compatible (include/linux/license.h). */
const GPL_COMPATIBLE = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);

const shapeOf = ({ type, keySize, valueSize, maxEntries, flags }: ObjectMap) => ({
  type: mapTypeJson(type),
  key_size: keySize,
  value_size: valueSize,
  max_entries: maxEntries,
  flags,
});

function bytesOf(host: Host, subject: Subject): { readonly bytes: Uint8Array; readonly path: string } {
  if ("fetched" in subject) return { bytes: subject.fetched.object.bytes, path: subject.fetched.reference };
  const { file = "", object } = subject;
  if (object !== undefined) return { bytes: Uint8Array.fromBase64(object.base64), path: object.name };
  return { bytes: host.files.readObject(host.files.absolute(file), OBJECT_BYTES_MAX), path: file };
}

function inspect(host: Host, subject: Subject): ObjectInspectAnswer {
  const { bytes, path } = bytesOf(host, subject);
  const object = readNamedObject({ bytes, path }, {});
  const { globals, externs, mapTypes } = readContents(bytes, object);
  const mapAnswer = (map: ObjectMap): InspectedMapAnswer => ({
    name: map.name,
    ...shapeOf(map),
    key_type: mapTypes.get(map.name)?.key ?? null,
    value_type: mapTypes.get(map.name)?.value ?? null,
    pinning: map.pinByName ? "by_name" : "none",
    inner: map.inner === null ? null : shapeOf(map.inner),
  });
  return {
    path: "fetched" in subject ? null : path,
    image:
      "fetched" in subject
        ? { reference: path, digest: subject.fetched.source.digest, file: subject.fetched.object.name }
        : null,
    byte_order: object.byteOrder,
    license: object.license,
    gpl_compatible: GPL_COMPATIBLE.has(object.license ?? ""),
    btf: object.hasBtf,
    line_info: object.hasBtfExt,
    programs: object.programs.map(({ name, section, kind, target }) => ({
      name,
      section,
      type: kind === null ? null : programTypeWord(kernelTypeOf(KINDS[kind], section).type),
      target,
      load_as: kind,
    })),
    maps: object.maps.map(mapAnswer),
    globals: globals.map(({ name, section, size, type, value }) => ({ name, section, size, type, value })),
    externs,
    requires: requirementsOf(object, externs),
  };
}

export const implementation = operation({ request: inspectObjectRequest, prepare: fetchImage, run: inspect });
