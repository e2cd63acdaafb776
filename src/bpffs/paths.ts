import { BpfmanError } from "../errors/error.ts";
import type { PinPaths } from "../platform/pins.ts";

/** NAME_MAX (include/uapi/linux/limits.h): bytes in the name of a file. */
const NAME_BYTES_MAX = 255;

/** The layout of the bpffs mounted at `root`. Throws INVALID_OBJECT for a map name that cannot be a file name. */
export function pinPaths(root: string): PinPaths {
  const paths: PinPaths = {
    root,
    testDispatchers: `${root}/dispatcher-test`,
    program: (id) => `${root}/prog_${id}`,
    mapDirectory: (owner) => `${root}/maps/${owner}`,
    map: (owner, name) => `${paths.mapDirectory(owner)}/${fileName(name)}`,
    sharedMap: (name) => `${root}/shared/${fileName(name)}`,
    link: (id, next) => `${root}/links/${id}${next === undefined ? "" : `_${next}`}`,
    revision: ({ type, nsid, ifindex }, revision) => `${root}/${type}/dispatcher_${nsid}_${ifindex}_${revision}`,
    chains: (type) => `${root}/${type}`,
    xdpLink: ({ nsid, ifindex }) => `${root}/xdp/dispatcher_${nsid}_${ifindex}_link`,
  };
  return paths;
}

/** Map names come from the object file and must not lead anywhere else. A bpffs rejects names with dots. */
function fileName(map: string): string {
  const bytes = Buffer.byteLength(map);
  if (bytes >= 1 && bytes <= NAME_BYTES_MAX && !/[/.\p{Cc}\p{Cs}]/u.test(map)) return map;
  throw new BpfmanError(
    "INVALID_OBJECT",
    `pin map "${map}": a name of 1 to ${NAME_BYTES_MAX} bytes without "/" and "." is needed`,
    {
      details: { map },
      hint: "rename the map in the program's source",
    },
  );
}
