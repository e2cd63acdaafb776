import * as fs from "../../ffi/safe/file-system.ts";
import { interfaceName } from "../../ffi/safe/interface-name.ts";
import { currentNetnsInode, withNetns } from "../../ffi/safe/netns.ts";
import { effectiveCapabilities } from "../domain/capabilities.ts";
import { COMPLETION_ENTRIES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { nearest, questionOf } from "../errors/suggest.ts";
import { errnoName, NO_NAMESPACE, reasonOf, sysPart } from "../errors/sys-failure.ts";
import type { InterfaceNames, NetworkPort } from "../platform/host.ts";

/** NSFS_MAGIC (include/uapi/linux/magic.h), which statfs(2) reports for namespace files and bind mounts of them. */
const NSFS_MAGIC = 0x6e736673;
/** Where ip-netns(8) keeps named namespaces. */
const NAMED_NAMESPACES = "/run/netns";

/** Fetched by who looks for an interface, or for all of them: lists need no more than names of indexes. */
const netlink = () => require("../../ffi/safe/interfaces.ts") as typeof import("../../ffi/safe/interfaces.ts");

function namesOf(indexes: Iterable<number>): InterfaceNames {
  const names = new Map<number, string>();
  for (const ifindex of indexes) {
    const name = interfaceName(ifindex);
    if (name !== null) names.set(ifindex, name);
  }
  return { nsid: currentNetnsInode(), names };
}

/** The network as the kernel shows it. Entering another namespace needs CAP_SYS_ADMIN. */
export function openNetwork(): NetworkPort {
  return {
    namespaceId: (netns) => inside(netns, currentNetnsInode),
    names: (netns, indexes) => inside(netns, () => namesOf(indexes)),
    findInterface: (name, netns) => inside(netns, () => netlink().findInterface(name)),
    interfaces: (netns) => inside(netns, () => netlink().allInterfaces()),
    drivers: (netns, interfaces) =>
      inside(netns, () => {
        const { interfaceDrivers } =
          require("../../ffi/safe/interface-driver.ts") as typeof import("../../ffi/safe/interface-driver.ts");
        const drivers = interfaceDrivers(interfaces.map(({ name }) => name));
        return new Map(interfaces.flatMap(({ ifindex, name }) => [[ifindex, drivers.get(name) ?? ""] as const]));
      }),
    pathTo,
    namedNamespaces,
  };
}

function pathTo(nsid: number): string | null {
  const processes = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  const paths = [...namedNamespaces(), ...processes.map((pid) => `/proc/${pid}/ns/net`)];
  return paths.find((path) => isNamespace(path, nsid)) ?? null;
}

/** Whatever else has that inode number is on another file system. */
function isNamespace(path: string, nsid: number): boolean {
  try {
    return fs.statSync(path)?.ino === BigInt(nsid) && fs.statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

function namedNamespaces(): string[] {
  try {
    const names = fs.readdirSync(NAMED_NAMESPACES).slice(0, COMPLETION_ENTRIES_MAX);
    return names.sort().map((name) => `${NAMED_NAMESPACES}/${name}`);
  } catch {
    return [];
  }
}

function inside<T>(netns: string | null, run: () => T): T {
  if (netns === null) return run();
  refuseOrdinaryFile(netns);
  try {
    return withNetns(netns, run);
  } catch (thrown) {
    throw namespaceFailure(thrown, netns);
  }
}

function refuseOrdinaryFile(path: string): void {
  let type: number;
  try {
    ({ type } = fs.statfsSync(path));
  } catch (thrown) {
    throw namespaceFailure(thrown, path);
  }
  if (type === NSFS_MAGIC) return;
  throw notFound(path, "the file is not a namespace", {
    hint: "give a file such as /run/netns/NAME or /proc/PID/ns/net; ip-netns leaves an empty file where a namespace was deleted",
  });
}

/** setns(2): EINVAL if the file is a namespace of another type, EPERM without CAP_SYS_ADMIN. */
function namespaceFailure(thrown: unknown, path: string): unknown {
  const parts = { ...sysPart(thrown), cause: thrown };
  const name = errnoName(thrown);
  switch (name) {
    case null:
      return thrown;
    case "ENOENT":
    case "ENOTDIR": {
      const near = nearNamespace(path);
      return notFound(path, "there is no such file", near === null ? parts : { ...parts, hint: near });
    }
    case "EINVAL":
      return notFound(path, "the file is a namespace, but not a network namespace", parts);
    case "EPERM": {
      const effective = effectiveCapabilities(fs.readTextSync("/proc/self/status"));
      if (!effective.includes("CAP_SYS_ADMIN")) {
        const { capabilitiesMissing } =
          require("../errors/capabilities.ts") as typeof import("../errors/capabilities.ts");
        return capabilitiesMissing(`enter network namespace "${path}": it`, ["CAP_SYS_ADMIN"], effective);
      }
      return notAllowed(path, parts);
    }
    case "EACCES":
      return notAllowed(path, parts);
    default:
      if (NO_NAMESPACE.includes(name)) return notFound(path, reasonOf(thrown), parts);
      return new BpfmanError("KERNEL_CALL_FAILED", `enter network namespace "${path}": ${reasonOf(thrown)}`, {
        details: { netns: path },
        ...parts,
      });
  }
}

const notAllowed = (path: string, parts: ConstructorParameters<typeof BpfmanError>[2]): BpfmanError =>
  new BpfmanError("PERMISSION_DENIED", `enter network namespace "${path}": permission denied`, {
    details: { netns: path },
    ...parts,
  });

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Finds a namespace with a name similar to the one in the path, or to the path if that is just a name. */
function nearNamespace(path: string): string | null {
  const names = namedNamespaces().map((each) => baseName(each));
  return questionOf(nearest(baseName(path), names).map((name) => `${NAMED_NAMESPACES}/${name}`));
}

const notFound = (path: string, reason: string, parts: ConstructorParameters<typeof BpfmanError>[2]): BpfmanError =>
  new BpfmanError("NETNS_NOT_FOUND", `open network namespace "${path}": ${reason}`, {
    details: { netns: path },
    ...parts,
  });
