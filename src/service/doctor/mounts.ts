import type { Host } from "../../platform/host.ts";
import type { PinnedHandle } from "../../platform/kernel.ts";

interface Held {
  readonly path: string;
  readonly handle: PinnedHandle;
}

/**
 * Unmounts all but the lowest of the file systems on the pin directory. Pins of the others are held open meanwhile and
 * made again below, unless there is a pin of that name: that one is older, and the recorded one wins later.
 */
export function mergeMounts(host: Host): void {
  const { pins } = host;
  while (pins.mounts() > 1) {
    const held = pins.isMounted() ? heldBelow(host, pins.paths.root) : [];
    try {
      pins.unmountTop();
      if (!pins.isMounted()) pins.prepare();
      for (const { path, handle } of held) {
        if (pins.exists(path)) continue;
        const directory = path.slice(0, path.lastIndexOf("/"));
        if (directory !== pins.paths.root && !pins.exists(directory)) pins.makeDirectory(directory);
        handle.pin(path);
      }
    } finally {
      for (const { handle } of held) handle.close();
    }
  }
}

/** Opens all pins below a directory. Names with a dot are the kernel's own. */
function heldBelow(host: Host, directory: string): Held[] {
  const names = host.pins.list(directory).filter((name) => !name.includes("."));
  return names.flatMap((name) => {
    const path = `${directory}/${name}`;
    if (host.pins.isDirectory(path)) return heldBelow(host, path);
    const handle = host.kernel.openPin(path);
    return handle === null ? [] : [{ path, handle }];
  });
}
