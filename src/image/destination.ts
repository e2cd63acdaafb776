/** Which addresses a registry may send bpfman to by a redirect, a token service or an upload location. */
import { lookup } from "node:dns/promises";

/** 127.0.0.0/8, ::1 and `localhost` (RFC 6761): the only hosts that may be accessed without TLS. */
export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);

/**
 * 169.254.0.0/16 (RFC 3927), where clouds serve a machine's credentials, also embedded in IPv6 addresses: IPv4-mapped,
 * -compatible and -translated (RFC 4291, 2765), NAT64 (RFC 6052) and 6to4 (RFC 3056); and fe80::/10.
 */
const LINK_LOCAL =
  /^(169\.254\.|\[?(fe[89ab][0-9a-f]:|::(ffff:(0:)?)?a9fe:[0-9a-f]{1,4}\]?$|64:ff9b::a9fe:[0-9a-f]{1,4}\]?$|2002:a9fe:))/;

/**
 * Expects a host as `URL` normalises it: decimal, octal, hexadecimal and short forms of IPv4 are already dotted
 * decimal.
 */
const isLinkLocal = (hostname: string): boolean => LINK_LOCAL.test(hostname);

/** Returns the addresses of a name; empty if it has none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export async function resolveName(hostname: string): Promise<readonly string[]> {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch {
    // The connection will fail for the same reason and report it.
    return [];
  }
}

/** getaddrinfo(3) writes embedded IPv4 addresses in dotted form and appends the interface to link-local addresses. */
const asHostname = (address: string): string =>
  address.includes(":") ? new URL(`http://[${address.replace(/%.*/s, "")}]`).hostname : address;

const isAddress = (hostname: string): boolean => hostname.startsWith("[") || /^[0-9.]+$/.test(hostname);

/**
 * Returns what is wrong with following an address given by a server; null if nothing is. The name is resolved again
 * when connecting, so this blocks names that resolve to link-local addresses, but not a DNS server that alternates its
 * answers.
 */
export async function objectionTo(target: URL, from: URL, resolve: Resolve): Promise<string | null> {
  const place = `${target.protocol}//${target.host}`;
  // fetch would turn it into an Authorization header.
  if (target.username !== "" || target.password !== "") return `${place} with a user name or password in it`;
  if (target.origin !== "null" && target.origin === from.origin) return null;
  const plainIsFine = from.protocol === "http:" && target.protocol === "http:" && isLoopback(target.hostname);
  if (target.protocol !== "https:" && !plainIsFine) return `${place}, which is not encrypted`;
  const hosts = isAddress(target.hostname) ? [target.hostname] : (await resolve(target.hostname)).map(asHostname);
  return hosts.some(isLinkLocal) ? `${place}, a link-local address, where no registry can be` : null;
}
