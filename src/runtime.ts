/** The composition root: creates the adapters on demand and passes them to the service. */
import { existsSync, readTextSync } from "../ffi/safe/file-system.ts";
import { libc } from "../ffi/safe/libc.ts";
import { LibraryError } from "../ffi/safe/library.ts";
import { absolute } from "./files/absolute.ts";
import { buildInfo } from "./build-info.ts";
import { type Capability, effectiveCapabilities, hasRightsOfFile, missingCapabilities } from "./domain/capabilities.ts";
import { CONFIG_DEFAULT, type Config, databaseWaitMs } from "./domain/config.ts";
import type { ProcessIdentity } from "./domain/ids.ts";
import type { Settings } from "./domain/settings.ts";
import type { BpfmanError } from "./errors/error.ts";
import type { Followed, FollowedInterfaces } from "./network/follow-interfaces.ts";
import { openLog } from "./log/open-log.ts";
import type { CompilerPort } from "./platform/compiler.ts";
import type { Host } from "./platform/host.ts";
import type { MachinePort } from "./platform/machine.ts";
import type { Adapter, Runtime, Versions } from "./platform/runtime.ts";
import type { StorePort } from "./platform/store.ts";
import type { StoreOptions } from "./store/open-store.ts";
import { createInvoke, type Invoke } from "./service/invoke.ts";
import type { SessionService } from "./service/session.ts";

const RUNTIME_DIR = "/run/bpfman";
const STATE_DIR = "/var/lib/bpfman";
const CACHE_DIR = "/var/cache/bpfman";
const CONFIG_FILE = "/etc/bpfman/bpfman.toml";

interface Directories {
  readonly runtimeDir: string;
  readonly stateDir: string;
  readonly cacheDir: string;
}

/** Where Kubernetes mounts a BPF file system of the node into the container of bpfman. */
const HOST_BPFFS = "/sys/fs/bpf/bpfman";

/**
 * What outlives a container of bpfman-operator: the runtime directory, and a BPF file system of the node. So state and pins are
 * there, unless other directories are given.
 */
export const inKubernetes = (settings: Settings): Settings => ({
  ...settings,
  runtimeDir: settings.runtimeDir ?? RUNTIME_DIR,
  hostBpffs: HOST_BPFFS,
});

/**
 * A non-default runtime directory includes state and cache directories, unless they are set too. Paths are absolute,
 * because the database stores pin paths, which must not depend on the current directory.
 */
function directoriesOf(settings: Settings): Directories {
  const { runtimeDir } = settings;
  const besides = (usual: string, name: string) => (runtimeDir === null ? usual : `${runtimeDir}/${name}`);
  return {
    runtimeDir: absolute(runtimeDir ?? RUNTIME_DIR),
    stateDir: absolute(settings.stateDir ?? besides(STATE_DIR, "state")),
    cacheDir: absolute(settings.cacheDir ?? besides(CACHE_DIR, "cache")),
  };
}

/** Constant until the next reboot. Kernel IDs are only meaningful within one boot. */
const bootId = (): string => readTextSync("/proc/sys/kernel/random/boot_id").trim();

/** Returns a function that calls `make` on first use and caches the value. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

interface HostParts {
  readonly directories: Directories;
  readonly hostBpffs: string | null;
  readonly config: Config;
  readonly machine: () => MachinePort;
  readonly openStore: () => StorePort;
  readonly keepsStore: boolean;
}

/** Adapters that were loaded before an operation uses them: the first `require` of a process costs as much as ten `import()`s. */
let kernelModule: typeof import("./kernel/open-kernel.ts") | undefined;
let filesModule: typeof import("./files/open-files.ts") | undefined;
let pinsModule: typeof import("./bpffs/open-pins.ts") | undefined;
let processesModule: typeof import("./files/open-processes.ts") | undefined;
let storeModule: typeof import("./store/open-store.ts") | undefined;

/** Loads the adapters that an operation uses as a rule. */
async function loadAdapters(mode: "read" | "write", uses: readonly Adapter[] | undefined): Promise<void> {
  const isUsed = (adapter: Adapter): boolean => uses === undefined || uses.includes(adapter);
  if (isUsed("store")) storeModule ??= await import("./store/open-store.ts");
  if (isUsed("pins")) pinsModule ??= await import("./bpffs/open-pins.ts");
  if (isUsed("files")) filesModule ??= await import("./files/open-files.ts");
  if (isUsed("kernel")) kernelModule ??= await import("./kernel/open-kernel.ts");
  if (mode === "write") processesModule ??= await import("./files/open-processes.ts");
}

function processesAdapter(): typeof import("./files/open-processes.ts") {
  processesModule ??= require("./files/open-processes.ts") as typeof import("./files/open-processes.ts");
  return processesModule;
}

/** Opens each adapter when an operation first uses it. With `keepsStore`, the store stays open after the operation. */
function openHost({ directories, hostBpffs, config, machine: openMachine, openStore, keepsStore }: HostParts): Host {
  const pinDirectory = `${directories.runtimeDir === "/" ? "" : directories.runtimeDir}/fs`;
  let opened: StorePort | null = null;
  const store = once(() => {
    opened = openStore();
    return opened;
  });
  const kernel = once(() => {
    kernelModule ??= require("./kernel/open-kernel.ts") as typeof import("./kernel/open-kernel.ts");
    return kernelModule.openKernel(pinDirectory);
  });
  const pins = once(() => {
    pinsModule ??= require("./bpffs/open-pins.ts") as typeof import("./bpffs/open-pins.ts");
    return pinsModule.openPins(pinDirectory, { access: config.maps, hostBpffs });
  });
  const volumes = once(() => {
    const { openVolumes } = require("./bpffs/open-volumes.ts") as typeof import("./bpffs/open-volumes.ts");
    return openVolumes(directories.runtimeDir, Object.values(directories));
  });
  const files = once(() => {
    filesModule ??= require("./files/open-files.ts") as typeof import("./files/open-files.ts");
    return filesModule.openFiles(directories.stateDir);
  });
  const compiler = once(() =>
    (require("./compiler/open-compiler.ts") as typeof import("./compiler/open-compiler.ts")).openCompiler(process.env),
  );
  const processes = once(() => processesAdapter().openProcesses());
  const network = once(() =>
    (require("./network/open-network.ts") as typeof import("./network/open-network.ts")).openNetwork(),
  );
  const machine = once(openMachine);
  return {
    get store() {
      return store();
    },
    config,
    get kernel() {
      return kernel();
    },
    get pins() {
      return pins();
    },
    get volumes() {
      return volumes();
    },
    get files() {
      return files();
    },
    get compiler() {
      return compiler();
    },
    get network() {
      return network();
    },
    get processes() {
      return processes();
    },
    get machine() {
      return machine();
    },
    now: () => new Date(),
    sleep: (ms) => Bun.sleep(ms),
    close: () => {
      if (!keepsStore) opened?.close();
    },
  };
}

/** Compiles sources with the rights of this process, for a caller that has no service do it. */
export const openSourceCompiler = async (): Promise<CompilerPort> =>
  (await import("./compiler/open-compiler.ts")).openCompiler(process.env);

/** Returns why libc, through which bpfman calls the kernel, cannot be called; null if it can. */
function whyNoLibc(): BpfmanError | null {
  try {
    libc();
    return null;
  } catch (thrown) {
    if (!(thrown instanceof LibraryError)) throw thrown;
    const { libraryFailure } = require("./kernel/kernel-failure.ts") as typeof import("./kernel/kernel-failure.ts");
    return libraryFailure(thrown);
  }
}

/** Called before an adapter that needs libc is returned. Throws JIT_UNAVAILABLE. */
function requireLibc(): void {
  const failure = whyNoLibc();
  if (failure !== null) throw failure;
}

/**
 * Without libc, `version` and the image operations still work, through node:fs, which loads more slowly but always
 * works.
 */
const isThere = (file: string): boolean =>
  whyNoLibc() === null ? existsSync(file) : (require("node:fs") as typeof import("node:fs")).existsSync(file);

/** An invalid configuration fails every command. Usually there is none. */
async function loadConfig(named: string | null): Promise<Config> {
  const file = named ?? CONFIG_FILE;
  if (named === null && !isThere(file)) return CONFIG_DEFAULT;
  const { readConfig } = await import("./config/read-config.ts");
  return readConfig(file, named !== null);
}

/** Read once: bpfman changes neither its user nor its capabilities. */
const processStatus = once(() => readTextSync("/proc/self/status"));

/** Throws PERMISSION_DENIED if the rights are those of the executable file, which anybody can run with any options. */
function capabilities(): readonly Capability[] {
  requireLibc();
  if (!hasRightsOfFile(processStatus())) return effectiveCapabilities(processStatus());
  throw (require("./errors/capabilities.ts") as typeof import("./errors/capabilities.ts")).rightsOfFile();
}

const mayTryFeatures = (): boolean =>
  whyNoLibc() === null &&
  !hasRightsOfFile(processStatus()) &&
  missingCapabilities(["CAP_BPF"], capabilities()).length === 0;

const VERSIONS: Versions = {
  versions: () => (require("./kernel/versions.ts") as typeof import("./kernel/versions.ts")).versions(buildInfo),
  features: async () => (mayTryFeatures() ? (await import("./kernel/explain/features.ts")).features() : null),
};

interface MachineParts {
  readonly directories: Directories;
  readonly configFile: string | null;
  readonly store: () => Omit<StoreOptions, "mode" | "owner">;
}

function openMachine({ directories, configFile, store }: MachineParts): MachinePort {
  const places = () => require("./files/places.ts") as typeof import("./files/places.ts");
  const database = () => require("./store/look.ts") as typeof import("./store/look.ts");
  const { runtimeDir, stateDir, cacheDir } = directories;
  const own = [runtimeDir, `${runtimeDir}/fs`, stateDir, `${stateDir}/bytecode/sha256`, cacheDir];
  const files = [`${runtimeDir}/lock`, ...["", "-wal", "-shm"].map((ending) => `${stateDir}/bpfman.db${ending}`)];
  return {
    ...VERSIONS,
    unsafePlaces: () =>
      places().unsafePlaces([
        ...own.map((path) => ({ path, kind: "directory" }) as const),
        ...files.map((path) => ({ path, kind: "file" }) as const),
      ]),
    otherTools: () => places().otherTools(),
    lockHolder: () => (require("./lock/look.ts") as typeof import("./lock/look.ts")).lockHolder(`${runtimeDir}/lock`),
    database: () => database().lookAtDatabase(store()),
    setDatabaseAside: () => database().setDatabaseAside(store(), new Date()),
    configFile: configFile ?? (isThere(CONFIG_FILE) ? CONFIG_FILE : null),
  };
}

interface Opened {
  /** The process that the history names as having asked for the changes. */
  readonly parentPid: number;
  /**
   * For a session: opens the store once for all reads, and once for all changes. A command has none, and keeps the one
   * store it writes to open until the process ends (main.ts).
   */
  readonly keep: Pick<typeof import("./store/kept.ts"), "keepStore"> | null;
  readonly settings: Settings;
  write(text: string): void;
}

/** Opens what the operations need on this machine, each part when it is first used. */
export async function openRuntime({ settings, write, keep, parentPid }: Opened): Promise<Runtime> {
  const directories = directoriesOf(settings);
  const config = await loadConfig(settings.configFile);
  const log = openLog(settings.logLevel, write);
  const store = once(() => {
    const { runtimeDir, stateDir } = directories;
    return {
      path: `${stateDir}/bpfman.db`,
      runtimeDir,
      bootId: bootId(),
      busyTimeoutMs: databaseWaitMs(config),
      warn: (message: string) => log.warn(message),
      // Pins do not survive a reboot: without their bpffs, nothing is running that a row could describe.
      isLive: () =>
        (require("./bpffs/prepare.ts") as typeof import("./bpffs/prepare.ts")).isBpffs(`${directories.runtimeDir}/fs`),
    };
  });
  const openStore = (mode: "read" | "write", owner: ProcessIdentity | null): StorePort => {
    storeModule ??= require("./store/open-store.ts") as typeof import("./store/open-store.ts");
    return storeModule.openStore({ ...store(), mode, owner });
  };
  const machine = () => openMachine({ directories, configFile: settings.configFile, store });
  const kept = keep === null ? null : once(() => keep.keepStore(store()));
  const written = once(() => openStore("write", null));
  return {
    log,
    lockTimeoutMs: settings.lockTimeoutMs,
    capabilities,
    caller: () => processesAdapter().callerOf(parentPid),
    openVersions: async () => {
      const failure = whyNoLibc();
      if (failure !== null) log.warn(`${failure.message}: libbpf and the kernel's features are unknown`);
      return VERSIONS;
    },
    openBuild: async () => {
      requireLibc();
      const { openFiles } = await import("./files/open-files.ts");
      const { openImageBuild } = await import("./image/open-image-build.ts");
      return {
        files: openFiles(directories.stateDir),
        ...openImageBuild({ caFile: settings.caFile, env: process.env }),
      };
    },
    openImages: async () => {
      const { openImages } = await import("./image/open-images.ts");
      const { cacheDir } = directories;
      return openImages({
        ...{ cacheDir, caFile: settings.caFile, env: process.env, signing: config.signing },
        tryLock: (fd, mode) => {
          requireLibc();
          const flock = require("../ffi/safe/flock.ts") as typeof import("../ffi/safe/flock.ts");
          return mode === "alone" ? flock.tryLockExclusive(fd) : flock.tryLockShared(fd);
        },
      });
    },
    openFiles: async () => (await import("./files/open-files.ts")).openFiles(directories.stateDir),
    isUntouched: async () => {
      requireLibc();
      return (await import("./bpffs/prepare.ts")).isUntouched(directories.runtimeDir);
    },
    openLock: async () => {
      requireLibc();
      return (await import("./lock/open-lock.ts")).openLock(`${directories.runtimeDir}/lock`);
    },
    openHost: async (mode, owner = null, uses) => {
      requireLibc();
      await loadAdapters(mode, uses);
      const keepsStore = mode === "write" && kept === null;
      const opened = () => {
        if (kept !== null) return mode === "read" ? kept().read() : kept().write(owner);
        return mode === "read" ? openStore(mode, owner) : written();
      };
      const hostBpffs = settings.hostBpffs ?? null;
      return openHost({ directories, hostBpffs, config, machine, openStore: opened, keepsStore });
    },
    openProcesses: async () => (await import("./files/open-processes.ts")).openProcesses(),
    watchStore: async (changed) => (await import("./store/watch.ts")).watchDatabase(store(), changed),
  };
}

/** Connects the operations to this machine. `write` receives log lines. */
export const connect = async (settings: Settings, write: (text: string) => void): Promise<Invoke> =>
  createInvoke(await openRuntime({ settings, write, keep: null, parentPid: process.ppid }));

/**
 * Like `connect`, for a session of the JSON-RPC server, which also receives changes. `parentPid` is that of the server,
 * whichever process of the session this is.
 */
export async function connectSession(
  settings: Settings,
  write: (text: string) => void,
  parentPid: number,
): Promise<SessionService> {
  const [{ createSessionService }, keep] = await Promise.all([
    import("./service/session.ts"),
    import("./store/kept.ts"),
  ]);
  requireLibc();
  return createSessionService(await openRuntime({ settings, write, keep, parentPid }));
}

/** Notices that interfaces come and go. */
export const followInterfaces = async (what: Followed): Promise<FollowedInterfaces> =>
  (await import("./network/follow-interfaces.ts")).followInterfaces(what);
