/** An interface, as the kernel names it now. */
export interface NamedInterface {
  readonly ifindex: number;
  readonly name: string;
  /** What `ip link property` calls altname: other names for it, up to 127 bytes long (Linux 5.5). */
  readonly alternativeNames: readonly string[];
}

export interface InterfaceNames {
  readonly nsid: number;
  readonly names: ReadonlyMap<number, string>;
}

/** Network namespaces and interfaces. Synchronous; the caller's own namespace is never left changed. */
export interface NetworkPort {
  /**
   * Inode of the namespace behind `path` (any file of nsfs), or of the caller's own for null.
   * Throws NETNS_NOT_FOUND when the path is missing or no network namespace.
   */
  namespaceId(netns: string | null): number;
  /**
   * The namespace's inode, and what those interfaces are called in it now, by their index: those that it does not have are
   * left out. Throws NETNS_NOT_FOUND.
   */
  names(netns: string | null, indexes: Iterable<number>): InterfaceNames;
  /** The interface with that name, or with that alternative name, in that namespace; null when it is not there. */
  findInterface(name: string, netns: string | null): NamedInterface | null;
  /** All interfaces in that namespace, by index. */
  interfaces(netns: string | null): NamedInterface[];
  /** Paths of the namespaces that ip-netns(8) gave names. */
  namedNamespaces(): string[];
}
