import { allocate, type Memory, textUntilNul } from "../memory.ts";

/**
 * Netlink messages (netlink(7), include/uapi/linux/netlink.h): a header, a struct that depends on the type, then
 * attributes of {u16 length, u16 type, value}. Each part is aligned to four bytes, in host byte order.
 */
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** Masks the flag bits out of an attribute's type. */
const TYPE_MASK = 0x3fff;

const aligned = (bytes: number): number => (bytes + 3) & ~3;
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Encodes a value with its attribute header, padded. Throws RangeError if the value is too long. */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  const length = ATTRIBUTE_HEADER_BYTES + value.length;
  if (length > 0xffff) throw new RangeError(`${value.length} bytes do not fit into a netlink attribute`);
  const bytes = new Uint8Array(aligned(length));
  const view = viewOf(bytes);
  view.setUint16(0, length, true);
  view.setUint16(2, type, true);
  bytes.set(value, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

export const u32Attribute = (type: number, value: number): Uint8Array =>
  attribute(type, new Uint8Array(Uint32Array.of(value).buffer));

/** Encodes a NUL-terminated string attribute. */
export const textAttribute = (type: number, text: string): Uint8Array =>
  attribute(type, new TextEncoder().encode(`${text}\0`));

/** Joins parts, without Buffer, whose first use costs more than finding an interface. */
export function concatenated(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Encodes an attribute that contains other attributes. */
export const nested = (type: number, ...inner: readonly Uint8Array[]): Uint8Array =>
  attribute(type, concatenated(...inner));

/** The attributes in `bytes` by type, the last one of each. */
export const readAttributes = (bytes: Uint8Array): ReadonlyMap<number, Uint8Array> => new Map(eachAttribute(bytes));

/** The values of the attributes of one type. Others are skipped: an interface has forty. */
export function attributesOf(wanted: number, bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  const end = bytes.length;
  for (let at = 0; at + ATTRIBUTE_HEADER_BYTES <= end; ) {
    const length = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const type = ((bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8)) & TYPE_MASK;
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > end) break;
    if (type === wanted) found.push(bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return found;
}

/** Type and value of all attributes in `bytes`; what is cut off or malformed at the end is left out. */
function eachAttribute(bytes: Uint8Array): [type: number, value: Uint8Array][] {
  const attributes: [type: number, value: Uint8Array][] = [];
  const view = viewOf(bytes);
  for (let at = 0; at + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) break;
    const type = view.getUint16(at + 2, true) & TYPE_MASK;
    attributes.push([type, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length)]);
    at += aligned(length);
  }
  return attributes;
}

/** Returns the number in an attribute; null if the attribute is missing or shorter than four bytes. */
export const readU32 = (value: Uint8Array | undefined): number | null =>
  value === undefined || value.length < 4 ? null : viewOf(value).getUint32(0, true);

export const readText = (value: Uint8Array | undefined): string | null =>
  value === undefined ? null : textUntilNul(value);

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** Everything after the header. */
  readonly body: Uint8Array;
}

/** Encodes a whole message. The sender's port stays 0; the kernel fills it in. */
export function encodeMessage(message: NetlinkMessage, sequence: number): Memory {
  const bytes = allocate(HEADER_BYTES + message.body.length);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(message.body, HEADER_BYTES);
  return bytes;
}

/** Decodes the messages of a datagram. Throws RangeError if a length points outside it. */
export function decodeMessages(bytes: Uint8Array): (NetlinkMessage & { readonly sequence: number })[] {
  const messages = [];
  const view = viewOf(bytes);
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > bytes.length)
      throw new RangeError(`a netlink message of ${length} bytes`);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.slice(at + HEADER_BYTES, at + length),
    });
    at += aligned(length);
  }
  return messages;
}
