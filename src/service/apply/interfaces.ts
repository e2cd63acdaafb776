/** Interfaces that a document names by a pattern: those that are there now. */
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import { findInterface } from "../attach/interface.ts";
import { matches } from "../attach/pattern.ts";
import type { AttachTarget } from "../requests/attach-request.ts";

const DRIVER = "driver=";
const isGlob = (text: string): boolean => /[*?]/.test(text);
const isPattern = (iface: string): boolean => isGlob(iface) || iface.startsWith(DRIVER);

/** What there is now for an attachment of a document. */
export interface Found {
  readonly targets: readonly AttachTarget[];
  /** Whether later there may be other ones. */
  readonly changes: boolean;
}

/**
 * Returns a target for each interface, or namespace, that an attachment names. `waits`: one that is named and is not there may
 * come later. Throws INTERFACE_NOT_FOUND, NETNS_NOT_FOUND.
 */
export function targetsOf(host: Host, target: AttachTarget, waits: boolean): Found {
  if (!("netns" in target)) return { targets: [target], changes: false };
  const { netns } = target;
  const iface = "iface" in target ? target.iface : null;
  const byPattern = (netns !== null && isGlob(netns)) || (iface !== null && isPattern(iface));
  const changes = byPattern || (waits && iface !== null);
  const namespaces =
    netns !== null && isGlob(netns) ? host.network.namedNamespaces().filter((path) => matches(netns, path)) : [netns];
  const targets = namespaces.flatMap((path) => {
    try {
      if (iface !== null)
        return interfacesIn(host, iface, path).map((name) => ({ ...target, netns: path, iface: name }));
      host.network.namespaceId(path);
      return { ...target, netns: path };
    } catch (thrown) {
      if (changes && isMissing(thrown)) return [];
      throw thrown;
    }
  });
  return { targets, changes };
}

const isMissing = (thrown: unknown): boolean =>
  thrown instanceof BpfmanError && (thrown.code === "NETNS_NOT_FOUND" || thrown.code === "INTERFACE_NOT_FOUND");

function interfacesIn(host: Host, iface: string, netns: string | null): string[] {
  if (!isPattern(iface)) return [findInterface(host, iface, netns).interface];
  const all = host.network.interfaces(netns);
  if (!iface.startsWith(DRIVER)) {
    const fits = all.filter((each) => [each.name, ...each.alternativeNames].some((name) => matches(iface, name)));
    return fits.map(({ name }) => name);
  }
  const drivers = host.network.drivers(netns, all);
  return all
    .filter(({ ifindex }) => matches(iface.slice(DRIVER.length), drivers.get(ifindex) ?? ""))
    .map(({ name }) => name);
}
