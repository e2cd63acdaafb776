/** Network namespaces and interfaces. Synchronous; the caller's own namespace is never left changed. */
export interface NetworkPort {
  /**
   * Inode of the namespace behind `path` (any file of nsfs), or of the caller's own for null.
   * Throws NETNS_NOT_FOUND when the path is missing or no network namespace.
   */
  namespaceId(netns: string | null): number;
  /** Index of an interface in that namespace; null when it is not there. */
  interfaceIndex(name: string, netns: string | null): number | null;
  /** Names of all interfaces in that namespace. */
  interfaces(netns: string | null): string[];
  /** Paths of the namespaces that ip-netns(8) gave names. */
  namedNamespaces(): string[];
}
