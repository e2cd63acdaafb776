/** A host for service tests: fake kernel, pins, files and network around a real SQLite database. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Capability } from "../../src/domain/capabilities.ts";
import { CONFIG_DEFAULT, type Config } from "../../src/domain/config.ts";
import type { ProgramId } from "../../src/domain/ids.ts";
import type { VolumeRecord } from "../../src/domain/volume.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import type { BinaryFile, FilesPort, MappedFile } from "../../src/platform/files.ts";
import type { Host, NamedInterface, NetworkPort, ProcessesPort, NamedProcess } from "../../src/platform/host.ts";
import type { ImagesPort } from "../../src/platform/images.ts";
import type { MachinePort } from "../../src/platform/machine.ts";
import type { PinPaths, PinsPort } from "../../src/platform/pins.ts";
import type { Runtime } from "../../src/platform/runtime.ts";
import type { VolumesPort } from "../../src/platform/volumes.ts";
import { openStore } from "../../src/store/open-store.ts";
import { FakeKernel } from "./fake-kernel.ts";

const ROOT = "/fake/fs";
const NOW = new Date("2026-03-04T05:06:07.008Z");
const FIRST_NSID = 4026531840;

const paths: PinPaths = {
  root: ROOT,
  testDispatchers: `${ROOT}/dispatcher-test`,
  program: (id) => `${ROOT}/prog_${id}`,
  mapDirectory: (owner) => `${ROOT}/maps/${owner}`,
  map: (owner, name) => `${ROOT}/maps/${owner}/${name}`,
  sharedMap: (name) => `${ROOT}/shared/${name}`,
  link: (id, next) => `${ROOT}/links/${id}${next === undefined ? "" : `_${next}`}`,
  revision: ({ type, nsid, ifindex }, revision) => `${ROOT}/${type}/dispatcher_${nsid}_${ifindex}_${revision}`,
  chains: (type) => `${ROOT}/${type}`,
  xdpLink: ({ nsid, ifindex }) => `${ROOT}/xdp/dispatcher_${nsid}_${ifindex}_link`,
};

function fakePins(kernel: FakeKernel, directories: Set<string>): PinsPort {
  const inside = (directory: string): string[] =>
    [...kernel.pins.keys()].filter((path) => path.startsWith(`${directory}/`));
  return {
    paths,
    prepare: () => false,
    unmount: () => [...kernel.pins.keys()].sort(),
    mounts: () => 1,
    isMounted: () => true,
    unmountTop: () => {},
    exists: (path) => kernel.pins.has(path) || directories.has(path),
    pinnedAt: (path) => (kernel.pins.has(path) ? NOW : null),
    isDirectory: (path) => directories.has(path),
    makeDirectory: (path) => void directories.add(path),
    openMap: () => {},
    remove: (path) => {
      const was = kernel.pins.delete(path);
      kernel.sweep();
      return was;
    },
    removeDirectory: (path) => {
      if (inside(path).length > 0) return false;
      return directories.delete(path);
    },
    list: (directory) => {
      const below = [...inside(directory), ...[...directories].filter((path) => path.startsWith(`${directory}/`))];
      return [...new Set(below.map((path) => path.slice(directory.length + 1).split("/", 1)[0] as string))];
    },
  };
}

/** Volumes by ID, each with where it is mounted. Its device is the number of volumes made so far. */
export class FakeVolumes implements VolumesPort {
  readonly there = new Map<string, { readonly device: number; target: string | null }>();
  readonly opened = new Map<string, number>();
  /** Targets at which nothing may be mounted. */
  readonly taken = new Set<string>();
  readonly #kernel: FakeKernel;
  #made = 0;

  constructor(kernel: FakeKernel) {
    this.#kernel = kernel;
  }

  requireFree = (targetPath: string) => {
    if (this.taken.has(targetPath)) throw new BpfmanError("INVALID_VOLUME", `"${targetPath}" is taken`);
  };
  make = ({ id }: Pick<VolumeRecord, "id">) => {
    this.#made += 1;
    this.there.set(id, { device: this.#made, target: null });
    return this.#made;
  };
  mapPath = ({ id }: Pick<VolumeRecord, "id">, map: string) => `/fake/csi/fs/${id}/${map}`;
  openMap = (volume: Pick<VolumeRecord, "id" | "group">, map: string) => {
    if (volume.group !== null) this.opened.set(this.mapPath(volume, map), volume.group);
  };
  publish = ({ id, targetPath }: VolumeRecord) => {
    (this.there.get(id) as { target: string | null }).target = targetPath;
  };
  isPublished = ({ id, targetPath, device }: VolumeRecord) => {
    const found = this.there.get(id);
    return found !== undefined && found.device === device && found.target === targetPath;
  };
  onTarget = ({ id, targetPath }: Pick<VolumeRecord, "id" | "targetPath">) => {
    const [found] = [...this.there].find(([, { target }]) => target === targetPath) ?? [];
    if (found === undefined) return null;
    return found === id ? "own" : "other";
  };
  remove = ({ id }: Pick<VolumeRecord, "id">) => {
    this.there.delete(id);
    for (const path of this.#kernel.pins.keys())
      if (path.startsWith(`/fake/csi/fs/${id}/`)) this.#kernel.pins.delete(path);
    this.#kernel.sweep();
  };
  made = () => [...this.there].map(([id, { target }]) => ({ id, mounts: target === null ? [] : [target] }));
  removeMounts = (id: string) => this.remove({ id });
}

function binaryFile(bytes: Uint8Array, path: string): BinaryFile {
  return {
    kernelPath: path,
    id: `${path}:${bytes.length}`,
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    close: () => {},
  };
}

/** Files by path, besides the bytecode that the service saves. */
export class FakeFiles implements FilesPort {
  readonly contents = new Map<string, Uint8Array>();
  /** By path. */
  readonly bytecode = new Map<string, Uint8Array>();
  readonly running = new Set([1]);
  mapped: MappedFile[] = [];
  cache = new Map<string, string>();

  saveText(path: string, text: string | Uint8Array): void {
    this.contents.set(path, typeof text === "string" ? new TextEncoder().encode(text) : text);
  }
  isDirectory = (path: string) => [...this.contents.keys()].some((each) => each.startsWith(`${path}/`));
  saveDirectory = (path: string, files: ReadonlyMap<string, string | Uint8Array>) => {
    if (this.isDirectory(path)) throw new BpfmanError("IO_FAILED", `make "${path}": it is not empty`);
    for (const [name, contents] of files) this.saveText(`${path}/${name}`, contents);
  };

  readObject(path: string): Uint8Array {
    const bytes = this.contents.get(path) ?? this.bytecode.get(path);
    if (!bytes) throw new BpfmanError("FILE_NOT_FOUND", `no file "${path}"`);
    return bytes;
  }
  absolute = (path: string) => resolve("/cwd", path);
  listDirectory = (path: string) =>
    [...this.contents.keys()]
      .filter((each) => each.startsWith(`${path}/`))
      .map((each) => each.slice(path.length + 1))
      .filter((name) => !name.includes("/"));
  digest = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  bytecodePath = (digest: string) => `/fake/bytecode/${digest}`;
  saveBytecode = (path: string, bytes: Uint8Array) => void this.bytecode.set(path, bytes);
  removeBytecode = (path: string) => void this.bytecode.delete(path);
  bytecodeExists = (path: string) => this.bytecode.has(path);
  storedBytecode = () => [...this.bytecode.keys()].map((path) => path.slice(path.lastIndexOf("/") + 1));
  openBinary = (path: string, root: string | null) => {
    const bytes = this.contents.get(`${root ?? ""}${path}`);
    return bytes ? binaryFile(bytes, path) : null;
  };
  fileId = (path: string) => {
    const bytes = this.contents.get(path);
    return bytes ? `${path}:${bytes.length}` : null;
  };
  containerProcess = (pid: number) => (this.running.has(pid) ? `/proc/${pid}` : null);
  processes = () => [...this.running].map((pid) => ({ pid, name: `process-${pid}` }));
  processExists = (pid: number) => this.running.has(pid);
  mappedFiles = () => this.mapped;
  functionHere = () => null;
  linkerCache = () => this.cache;
}

/** Interfaces by namespace path ("" is the caller's own). */
export class FakeNetwork implements NetworkPort {
  readonly namespaces = new Map<string, string[]>([["", ["lo", "eth0", "eth1"]]]);
  readonly alternativeNames = new Map<string, string[]>();

  namespaceId = (netns: string | null) => {
    const at = [...this.namespaces.keys()].indexOf(netns ?? "");
    if (at < 0) throw new BpfmanError("NETNS_NOT_FOUND", `no network namespace "${netns}"`);
    return FIRST_NSID + at;
  };
  names = (netns: string | null, indexes: Iterable<number>) => {
    const wanted = new Set(indexes);
    const found = this.interfaces(netns).filter(({ ifindex }) => wanted.has(ifindex));
    return { nsid: this.namespaceId(netns), names: new Map(found.map(({ ifindex, name }) => [ifindex, name])) };
  };
  findInterface = (name: string, netns: string | null) =>
    this.interfaces(netns).find((each) => each.name === name || each.alternativeNames.includes(name)) ?? null;
  /** Those that went have no name any more, and keep their index. */
  interfaces = (netns: string | null) =>
    (this.namespaces.get(netns ?? "") ?? [])
      .map((name, at) => ({ ifindex: at + 1, name, alternativeNames: this.alternativeNames.get(name) ?? [] }))
      .filter(({ name }) => name !== "");
  readonly driverNames = new Map<string, string>();
  drivers = (_: string | null, interfaces: readonly NamedInterface[]) =>
    new Map(interfaces.map(({ ifindex, name }) => [ifindex, this.driverNames.get(name) ?? "veth"]));
  pathTo = (nsid: number) => [...this.namespaces.keys()][nsid - FIRST_NSID] || null;
  namedNamespaces = () => [...this.namespaces.keys()].filter((path) => path !== "");
}

/**
 * Counts the calls of port methods that change something. The call number `failAt` throws; from call number `dieAt` on
 * every call throws, the undo's too, as if the process had been killed there.
 */
export class Faults {
  failAt: number | null = null;
  dieAt: number | null = null;
  calls: string[] = [];

  wrap<T extends object>(port: T, changing: readonly (keyof T & string)[], name: string): T {
    return new Proxy(port, {
      get: (target, key) => {
        const value = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        if (!changing.includes(key as keyof T & string)) return value.bind(target);
        return (...parameters: unknown[]) => {
          this.hit(`${name}.${String(key)}`);
          return value.apply(target, parameters);
        };
      },
    });
  }

  reset(): void {
    this.failAt = null;
    this.dieAt = null;
    this.calls = [];
  }

  hit(what: string): void {
    this.calls.push(what);
    const dead = this.dieAt !== null && this.calls.length >= this.dieAt;
    if (dead || this.calls.length === this.failAt) throw new BpfmanError("IO_FAILED", `injected failure in ${what}`);
  }
}

const KERNEL_CHANGES = [
  ...(["load", "attach", "forceDetach", "loadDispatcher", "attachXdp", "swapProgram"] as const),
  ...(["attachTc", "replaceTc", "detachTc"] as const),
];
const STORE_CHANGES = [
  ...([
    "insertProgram",
    "setProgramState",
    "deleteProgram",
    "insertLink",
    "expectLink",
    "settleLink",
    "setLinkState",
  ] as const),
  ...(["deleteLink", "beginRevision", "settleRevision", "abandonRevision", "deleteDispatcher", "moveLink"] as const),
  ...([
    "recordPins",
    "forgetPins",
    "beginChange",
    "settleChange",
    "addSuccessor",
    "dropSuccessor",
    "takeOver",
    "setApplied",
    "setMetadata",
  ] as const),
];

export interface TestBed {
  /** Changes what the store has, behind the service. */
  write(change: (host: Host) => void): void;
  /** For the operations that follow. */
  config: Config;
  readonly kernel: FakeKernel;
  readonly files: FakeFiles;
  readonly network: FakeNetwork;
  readonly volumes: FakeVolumes;
  readonly faults: Faults;
  readonly runtime: Runtime;
  readonly databasePath: string;
  readonly logged: string[];
  /** Processes that count as ended. */
  readonly ended: Set<string>;
  /** Processes that hold programs. */
  readonly holders: Map<ProgramId, readonly NamedProcess[]>;
  capabilities: readonly Capability[];
  /** None unless a test gives some. */
  images: ImagesPort | null;
  /** Everything outside the database that an operation may leave behind. */
  traces(): { kernel: ReturnType<FakeKernel["snapshot"]>; directories: string[]; bytecode: string[] };
  /** Starts the machine again: the kernel and the file system of the pins are empty then. */
  reboot(): void;
  /** Looks at the host directly, as a reader. */
  inspect<T>(look: (host: Host) => T): T;
  close(): void;
}

export function makeTestBed(): TestBed {
  // In memory where that can be: these tests make hundreds of databases, and each commit waits for the disk.
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "bpfman-service-"));
  const databasePath = join(directory, "bpfman.db");
  const kernel = new FakeKernel();
  const files = new FakeFiles();
  const network = new FakeNetwork();
  const volumes = new FakeVolumes(kernel);
  const faults = new Faults();
  const directories = new Set<string>();
  const logged: string[] = [];
  const pins = fakePins(kernel, directories);
  const note = (level: string) => (message: string) => void logged.push(`${level} ${message}`);

  const ended = new Set<string>();
  const holders = new Map<ProgramId, readonly NamedProcess[]>();
  const processes: ProcessesPort = {
    identity: (pid) => `${pid}:1:1`,
    hasEnded: (process) => ended.has(process),
    programHolders: async () => holders,
    readersOf: () => [],
  };

  const versions = {
    versions: () => ({ version: "0", commit: "c", bun: "1", libbpf: "1.1", kernel: "6", arch: "x86_64" }),
    features: async () => null,
  };
  const machine: MachinePort = {
    ...versions,
    unsafePlaces: () => [],
    lockHolder: () => null,
    database: () => ({ path: databasePath, problem: null }),
    setDatabaseAside: () => ({ moved: [], undo: () => {} }),
    otherTools: () => [],
    configFile: null,
  };

  let bootId = "boot-1";
  const openHost = (mode: "read" | "write", owner: string | null = null): Host => {
    const store = openStore({ path: databasePath, mode, bootId, owner });
    const volumeRows = faults.wrap(store.volumes(), ["insert", "setReady", "delete"], "volumes of the store");
    return {
      kernel: faults.wrap(withFaultyHandles(kernel, faults), KERNEL_CHANGES, "kernel"),
      store: faults.wrap({ ...store, volumes: () => volumeRows }, STORE_CHANGES, "store"),
      volumes: faults.wrap(volumes, ["make", "openMap", "publish", "remove", "removeMounts"], "volumes"),
      pins: faults.wrap(pins, ["makeDirectory", "remove", "removeDirectory"], "pins"),
      files: faults.wrap(files, ["saveBytecode", "removeBytecode"], "files"),
      network,
      compiler: {
        compile: () => {
          throw new Error("sources are compiled in tests of their own");
        },
      },
      processes,
      machine,
      config: bed.config,
      now: () => NOW,
      sleep: () => new Promise(setImmediate),
      close: () => store.close(),
    };
  };

  const bed: TestBed = {
    kernel,
    files,
    network,
    volumes,
    faults,
    databasePath,
    logged,
    ended,
    holders,
    config: CONFIG_DEFAULT,
    capabilities: ["CAP_SYS_ADMIN"],
    images: null,
    runtime: {
      log: { error: note("error"), warn: note("warn"), info: note("info"), debug: () => {} },
      lockTimeoutMs: 1000,
      capabilities: () => bed.capabilities,
      caller: () => ({ uid: 0, loginUid: 1000, sudoUid: null, parentPid: 1, parentCommand: "init" }),
      openVersions: async () => ({ ...versions, versions: () => ({ ...versions.versions(), libbpf: null }) }),
      openBuild: async () => {
        throw new Error("images are built in tests of their own");
      },
      openImages: async () => {
        if (bed.images === null) throw new Error("this test has no images");
        return bed.images;
      },
      openFiles: async () => files,
      isUntouched: async () => false,
      openLock: async () => ({ acquire: async () => ({ release: () => {} }) }),
      openHost: async (mode, owner) => openHost(mode, owner),
      openProcesses: async () => processes,
      watchStore: async (changed) => {
        const timer = setInterval(changed, 1);
        return { close: () => clearInterval(timer) };
      },
    },
    traces: () => ({
      kernel: kernel.snapshot(),
      directories: [...directories].sort(),
      bytecode: files.storedBytecode(),
    }),
    reboot: () => {
      kernel.pins.clear();
      kernel.sweep();
      directories.clear();
      bootId = `boot-${Number(bootId.slice("boot-".length)) + 1}`;
    },
    inspect: (look) => {
      const host = openHost("read");
      try {
        return look(host);
      } finally {
        host.close();
      }
    },
    write: (change) => {
      const host = openHost("write");
      try {
        change(host);
      } finally {
        host.close();
      }
    },
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
  return bed;
}

/** Pinning goes through handles that the kernel gives out; they fail as the port's own methods do. */
function withFaultyHandles(kernel: FakeKernel, faults: Faults): FakeKernel {
  return new Proxy(kernel, {
    get: (target, key) => {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key === "load") {
        return async (...parameters: Parameters<FakeKernel["load"]>) =>
          faults.wrap(await target.load(...parameters), ["pinProgram", "pinMap"], "object");
      }
      if (key === "loadDispatcher") {
        return async (...parameters: Parameters<FakeKernel["loadDispatcher"]>) =>
          faults.wrap(
            await target.loadDispatcher(...parameters),
            ["pinProgram", "pinLink", "pinExtension"],
            "dispatcher",
          );
      }
      if (key === "openPin") {
        return (...parameters: Parameters<FakeKernel["openPin"]>) => {
          const handle = target.openPin(...parameters);
          return handle && faults.wrap(handle, ["detach"], "handle");
        };
      }
      if (key === "attachXdp") {
        return (...parameters: Parameters<FakeKernel["attachXdp"]>) =>
          faults.wrap(target.attachXdp(...parameters), ["pin"], "xdp link");
      }
      if (key === "attach") {
        return (...parameters: Parameters<FakeKernel["attach"]>) =>
          faults.wrap(target.attach(...parameters), ["pin"], "link");
      }
      return value.bind(target);
    },
  });
}
