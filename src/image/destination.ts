/** Where a registry may send us: what a redirect, a token service or an upload has for an address. */
import { lookup } from "node:dns/promises";

/** 127.0.0.0/8, ::1 and `localhost` (RFC 6761): the only hosts that are talked to without TLS. */
export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);

/**
 * 169.254.0.0/16 (RFC 3927), where clouds keep the credentials of a machine; also within an IPv6 address, as
 * IPv4-mapped, -compatible and -translated ones (RFC 4291, 2765), NAT64 (RFC 6052) and 6to4 (RFC 3056); and fe80::/10.
 */
const LINK_LOCAL =
  /^(169\.254\.|\[?(fe[89ab][0-9a-f]:|::(ffff:(0:)?)?a9fe:[0-9a-f]{1,4}\]?$|64:ff9b::a9fe:[0-9a-f]{1,4}\]?$|2002:a9fe:))/;

/** Of a host as `URL` writes it: decimal, octal, hexadecimal and short forms of IPv4 have become dotted there. */
export const isLinkLocal = (hostname: string): boolean => LINK_LOCAL.test(hostname);

/** Addresses of a name; empty when it has none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export async function resolveName(hostname: string): Promise<readonly string[]> {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch {
    // The connection fails for the same reason, and says so.
    return [];
  }
}

/** getaddrinfo(3) writes IPv4 within IPv6 with dots, and the interface of a link-local address behind it. */
const asHostname = (address: string): string =>
  address.includes(":") ? new URL(`http://[${address.replace(/%.*/s, "")}]`).hostname : address;

const isAddress = (hostname: string): boolean => hostname.startsWith("[") || /^[0-9.]+$/.test(hostname);

/**
 * What is wrong with going from one address to another that it names; null when nothing is. A name is looked up once
 * more when the connection is made: this keeps out names that lead to a link, not a server of names that lies in turns.
 */
export async function objectionTo(target: URL, from: URL, resolve: Resolve): Promise<string | null> {
  const place = `${target.protocol}//${target.host}`;
  // fetch would make an Authorization header of it.
  if (target.username !== "" || target.password !== "") return `${place} with a user name or password in it`;
  if (target.origin !== "null" && target.origin === from.origin) return null;
  const plainIsFine = from.protocol === "http:" && target.protocol === "http:" && isLoopback(target.hostname);
  if (target.protocol !== "https:" && !plainIsFine) return `${place}, which is not encrypted`;
  const hosts = isAddress(target.hostname) ? [target.hostname] : (await resolve(target.hostname)).map(asHostname);
  return hosts.some(isLinkLocal) ? `${place}, a link-local address, where no registry can be` : null;
}
