/** Returns the absolute path. Most paths need no resolution and avoid loading node:path. */
export function absolute(path: string): string {
  const plain = path.startsWith("/") && !path.includes("//") && !path.includes("/.") && !path.endsWith("/");
  return plain ? path : (require("node:path") as typeof import("node:path")).resolve(path);
}
