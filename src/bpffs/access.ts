/** Pins of maps for others than root: what `[maps]` of the configuration says of their group and mode. */
import { MAP_ACCESS_DEFAULT, type MapAccess } from "../domain/config.ts";
import { BpfmanError } from "../errors/error.ts";
import { failing } from "../errors/sys-failure.ts";
import type { PinPaths } from "../platform/pins.ts";

const GROUPS = "/etc/group";
const ONLY_ROOT = 0o700;

/** Most have no such configuration, and need none of it in memory. */
const nodeFs = () => require("node:fs") as typeof import("node:fs");

/** Throws INVALID_CONFIG for a name that is not in /etc/group. */
function groupId(group: string | number): number {
  if (typeof group === "number") return group;
  const lines = failing("read", GROUPS, () => nodeFs().readFileSync(GROUPS, "utf8")).split("\n");
  const id = lines.map((line) => line.split(":")).find(([name]) => name === group)?.[2];
  if (id !== undefined && /^\d+$/.test(id)) return Number(id);
  throw new BpfmanError("INVALID_CONFIG", `use "maps.group": there is no group "${group}" in ${GROUPS}`, {
    hint: `make it with "groupadd --system ${group}", or give its number`,
  });
}

function change(path: string, { group, mode }: { readonly group: MapAccess["group"]; readonly mode: number }): void {
  failing("set group and mode of", path, () => {
    const { chmodSync, chownSync } = nodeFs();
    // First the mode would be for the group that it has now.
    if (group !== null) chownSync(path, -1, groupId(group));
    chmodSync(path, mode);
  });
}

/** Who may use a map may go through the directories to it: `bits` for each of group and others. */
function directoryMode({ mode }: MapAccess, bits: number): number {
  const group = (mode & 0o070) === 0 ? 0 : bits << 3;
  const others = (mode & 0o007) === 0 ? 0 : bits;
  return ONLY_ROOT | group | others;
}

const SEARCH = 0o1;
const LIST_AND_SEARCH = 0o5;

/** Nothing is changed without such a configuration, also not what an earlier one changed. */
const isDefault = ({ group, mode }: MapAccess): boolean =>
  group === MAP_ACCESS_DEFAULT.group && mode === MAP_ACCESS_DEFAULT.mode;

/** The way to the directories of maps, and those themselves. Throws INVALID_CONFIG, IO_FAILED. */
export function openDirectories({ root }: PinPaths, access: MapAccess): void {
  if (isDefault(access)) return;
  const runtimeDir = root.slice(0, root.lastIndexOf("/")) || "/";
  for (const path of [runtimeDir, root]) change(path, { group: access.group, mode: directoryMode(access, SEARCH) });
  for (const name of ["maps", "shared"]) openDirectory(`${root}/${name}`, access);
}

/** A directory of maps. Throws INVALID_CONFIG, IO_FAILED. */
export function openDirectory(path: string, access: MapAccess): void {
  if (isDefault(access)) return;
  change(path, { group: access.group, mode: directoryMode(access, LIST_AND_SEARCH) });
}

/** A map's pin. Throws INVALID_CONFIG, IO_FAILED. */
export function openMapPin(path: string, access: MapAccess): void {
  if (!isDefault(access)) change(path, access);
}
