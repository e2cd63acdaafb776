import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { MAP_ACCESS_DEFAULT, type MapAccess } from "../domain/config.ts";
import { errnoName, failing } from "../errors/sys-failure.ts";
import type { PinsPort } from "../platform/pins.ts";
import { openDirectory, openMapPin } from "./access.ts";
import { pinPaths } from "./paths.ts";
import {
  countMounts,
  isBpffs,
  prepareDirectories,
  removeDirectories,
  requireOwnDirectory,
  unmountTop,
} from "./prepare.ts";

/** The file, or a component of its path, does not exist. */
const ABSENT = ["ENOENT", "ENOTDIR"];

/**
 * The pins below `root`, which is `<runtime-dir>/fs`. Nothing is created or mounted before `prepare`. Throws
 * STATE_CONFLICT if others can modify the runtime directory.
 */
export function openPins(
  root: string,
  {
    access = MAP_ACCESS_DEFAULT,
    hostBpffs = null,
  }: { readonly access?: MapAccess; readonly hostBpffs?: string | null } = {},
): PinsPort {
  const paths = pinPaths(root);
  // Checked for readers as well, because they trust what is there.
  requireOwnDirectory(root.slice(0, root.lastIndexOf("/")) || "/");

  /** Pin paths also come from the database: paths outside the root are never touched. */
  const own = (action: string, path: string): string => {
    if (path.startsWith(`${root}/`) && !path.split("/").includes("..")) return path;
    throw new BpfmanError("STATE_CONFLICT", `${action} "${path}": it is not below "${root}"`, {
      details: { path, root },
      hint: "give the --runtime-dir that it was made with",
    });
  };

  const list = (directory: string): string[] =>
    failing("list", directory, () =>
      isBpffs(directory) ? unless<string[]>(ABSENT, [], () => fs.readdirSync(directory)) : [],
    );

  const remove = (path: string): boolean =>
    failing("remove pin", own("remove pin", path), () =>
      unless(ABSENT, false, () => {
        fs.unlinkSync(path);
        return true;
      }),
    );

  return {
    paths,
    prepare: () => prepareDirectories(paths, { access, hostBpffs }),
    unmount: () => removeDirectories(paths),
    mounts: () => countMounts(root),
    isMounted: () => isBpffs(root),
    unmountTop: () => unmountTop(root),
    exists: (path) => failing("look at", path, () => fs.lstatSync(path) !== undefined),
    pinnedAt: (path) => {
      const stats = failing("look at", path, () => fs.lstatSync(path));
      return stats === undefined ? null : new Date(stats.changedMs());
    },
    isDirectory: (path) => failing("look at", path, () => fs.lstatSync(path)?.isDirectory() === true),
    makeDirectory: (path) =>
      failing("make directory", own("make directory", path), () => {
        fs.mkdirSync(path, { recursive: true, mode: 0o700 });
        if (path.startsWith(`${root}/maps/`)) openDirectory(path, access);
      }),
    openMap: (path) => openMapPin(own("open map pin", path), access),
    remove,
    removeDirectory: (path) =>
      failing("remove directory", own("remove directory", path), () =>
        unless(["ENOENT", "ENOTDIR", "ENOTEMPTY"], false, () => {
          // Usually a program has no maps. An error costs more than a look.
          if (fs.lstatSync(path) === undefined) return false;
          fs.rmdirSync(path);
          return true;
        }),
      ),
    list,
  };
}

/** Returns `none` if `run` fails with one of these errnos. */
function unless<T>(errnos: readonly string[], none: T, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    if (errnos.includes(errnoName(thrown) ?? "")) return none;
    throw thrown;
  }
}
