/** The path from the root folder. Most have nothing in them to resolve, and spare node:path. */
export function absolute(path: string): string {
  const plain = path.startsWith("/") && !path.includes("//") && !path.includes("/.") && !path.endsWith("/");
  return plain ? path : (require("node:path") as typeof import("node:path")).resolve(path);
}
