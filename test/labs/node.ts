/** The real Node.js: `bun run` puts a "node" that is Bun into the path. npm needs Node.js, so it is always installed. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Path of the first Node.js in PATH. Throws when there is none. */
export function realNode(): string {
  const candidates = (process.env.PATH ?? "").split(":").map((directory) => join(directory, "node"));
  const found = candidates.filter(existsSync).find((path) => {
    const said = Bun.spawnSync([path, "-p", "process.versions.bun === undefined"]);
    return said.stdout.toString().trim() === "true";
  });
  if (found === undefined) throw new Error("no Node.js in PATH");
  return found;
}
