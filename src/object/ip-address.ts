/** IP addresses as text, for values of maps. */

const GROUPS = 8;

/** Formats 4 bytes, as in `10.0.0.1`. */
export const ipv4Text = (bytes: Uint8Array): string => bytes.join(".");

/** Parses `10.0.0.1`; null if it is not an address. */
export function ipv4Bytes(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return Uint8Array.from(parts, Number);
}

/** Formats 16 bytes as RFC 5952 says: the longest run of zero groups becomes `::`. */
export function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: GROUPS }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let [best, bestLength] = [-1, 1];
  for (let at = 0; at < GROUPS; at++) {
    let end = at;
    while (end < GROUPS && groups[end] === 0) end++;
    if (end - at > bestLength) [best, bestLength] = [at, end - at];
  }
  // ::ffff:10.0.0.1, an IPv4 address.
  if (best === 0 && bestLength === 5 && groups[5] === 0xffff) return `::ffff:${ipv4Text(bytes.subarray(12))}`;
  const hex = (some: readonly number[]): string => some.map((group) => group.toString(16)).join(":");
  return best < 0 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

/** Parses `2001:db8::1` and `::ffff:10.0.0.1`; null if it is not an address. */
export function ipv6Bytes(text: string): Uint8Array | null {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const inside = tail === null ? null : ipv4Bytes(tail[2] ?? "");
  if (tail !== null && inside === null) return null;
  const groupsOf = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const asGroups =
    inside === null
      ? text
      : `${tail?.[1]}${[0, 2].map((i) => (((inside[i] ?? 0) << 8) | (inside[i + 1] ?? 0)).toString(16)).join(":")}`;
  const halves = asGroups.split("::");
  if (halves.length > 2) return null;
  const [left = [], right = []] = halves.map(groupsOf);
  const missing = GROUPS - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...left, ...Array.from({ length: halves.length === 2 ? missing : 0 }, () => "0"), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}
