/**
 * Directories of the image cache. Whoever can write to them controls what a tag resolves to and which signatures are
 * trusted.
 */
import * as fs from "node:fs";
import { isOwnLink, requireOwn } from "../errors/ownership.ts";
import { errnoName } from "../errors/sys-failure.ts";

/** O_PATH (include/uapi/asm-generic/fcntl.h), which node:fs does not define. */
const O_PATH = 0o10000000;

/**
 * Opens the directory `names` below `root`, checking each component before accessing or creating the next, and passes
 * `use` a path that stays valid even if the directory is renamed. Returns null if it does not exist and `make` is
 * false. Throws STATE_CONFLICT if a directory belongs to other users or is writable by them.
 */
export function inOwnDirectory<T>(
  { root, names = [], make }: { readonly root: string; readonly names?: readonly string[]; readonly make: boolean },
  use: (path: string) => T,
): T | null {
  const open: number[] = [];
  const done = (): void => {
    for (const fd of open.splice(0)) fs.closeSync(fd);
  };
  try {
    let said = root;
    // The cache may be on another disk.
    let path = isOwnLink(fs.lstatSync(root, { throwIfNoEntry: false })) ? fs.realpathSync(root) : root;
    for (const name of [null, ...names]) {
      if (name !== null) {
        said = `${said}/${name}`;
        path = `${path}/${name}`;
      }
      if (make) fs.mkdirSync(path, { recursive: true, mode: 0o700 });
      const fd = fs.openSync(path, O_PATH | fs.constants.O_NOFOLLOW);
      open.push(fd);
      requireOwn(
        {
          ...{ action: "use the image cache", path: said, kind: "directory", code: "STATE_CONFLICT" },
          otherwise: "give a directory of your own with --cache-dir; bpfman makes it when it is missing",
        },
        fs.fstatSync(fd),
      );
      path = `/proc/self/fd/${fd}`;
    }
    const result = use(path);
    if (!(result instanceof Promise)) return result;
    // The directory stays open while it is in use.
    const fds = open.splice(0);
    return result.finally(() => {
      for (const fd of fds) fs.closeSync(fd);
    }) as T;
  } catch (thrown) {
    if (!make && errnoName(thrown) === "ENOENT") return null;
    throw thrown;
  } finally {
    done();
  }
}
