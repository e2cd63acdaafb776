/** The composition root: makes the adapters, each when it is first needed, and gives them to the service. */
import { existsSync, readTextSync } from "../ffi/safe/file-system.ts";
import { LibraryError } from "../ffi/safe/library.ts";
import { pinPaths } from "./bpffs/paths.ts";
import { absolute } from "./files/absolute.ts";
import { buildInfo } from "./build-info.ts";
import { CONFIG_DEFAULT, type Config, databaseWaitMs } from "./domain/config.ts";
import type { ProcessIdentity } from "./domain/session.ts";
import type { Settings } from "./domain/settings.ts";
import { openLog } from "./log/log.ts";
import type { Host } from "./platform/host.ts";
import type { Runtime } from "./platform/runtime.ts";
import type { StorePort } from "./platform/store.ts";
import type { StoreOptions } from "./store/store.ts";
import { createInvoke, type Invoke } from "./service/invoke.ts";
import type { SessionService } from "./service/session.ts";

const RUNTIME_DIR = "/run/bpfman";
const STATE_DIR = "/var/lib/bpfman";
const CACHE_DIR = "/var/cache/bpfman";
const CONFIG_FILE = "/etc/bpfman/bpfman.toml";

interface Folders {
  readonly runtimeDir: string;
  readonly stateDir: string;
  readonly cacheDir: string;
}

interface Place {
  readonly folders: Folders;
  readonly config: Config;
}

/**
 * A runtime folder of one's own brings its state and its cache along, unless they are placed too. The database keeps paths
 * of pins, which must mean the same from every current folder.
 */
function foldersOf(settings: Settings): Folders {
  const { runtimeDir } = settings;
  const besides = (usual: string, name: string) => (runtimeDir === null ? usual : `${runtimeDir}/${name}`);
  return {
    runtimeDir: absolute(runtimeDir ?? RUNTIME_DIR),
    stateDir: absolute(settings.stateDir ?? besides(STATE_DIR, "state")),
    cacheDir: absolute(settings.cacheDir ?? besides(CACHE_DIR, "cache")),
  };
}

/** The same for as long as the machine runs: ids of the kernel mean something only within it. */
const bootId = (): string => readTextSync("/proc/sys/kernel/random/boot_id").trim();

/** The value that `make` gives, made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

interface HostStore {
  readonly openStore: () => StorePort;
  /** It stays open when the operation is over. */
  readonly keepsStore: boolean;
}

/**
 * Gives the adapters a place: each is fetched when an operation first looks at it. A listing never looks at the kernel, and
 * the completion of an interface's name never at the database, which needs root. `require` because a getter cannot wait
 * for an `import()`.
 */
function openHost({ folders, config }: Place, { openStore, keepsStore }: HostStore): Host {
  const pinFolder = `${folders.runtimeDir === "/" ? "" : folders.runtimeDir}/fs`;
  let opened: StorePort | null = null;
  const store = once(() => {
    opened = openStore();
    return opened;
  });
  const kernel = once(() =>
    (require("./kernel/kernel.ts") as typeof import("./kernel/kernel.ts")).openKernel({
      testDispatchers: pinPaths(pinFolder).testDispatchers,
    }),
  );
  const pins = once(() =>
    (require("./bpffs/pins.ts") as typeof import("./bpffs/pins.ts")).openPins(pinFolder, config.maps),
  );
  const files = once(() =>
    (require("./files/files.ts") as typeof import("./files/files.ts")).openFiles(folders.runtimeDir),
  );
  const processes = once(() =>
    (require("./files/processes.ts") as typeof import("./files/processes.ts")).openProcesses(),
  );
  const network = once(() => (require("./network/network.ts") as typeof import("./network/network.ts")).openNetwork());
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
    get files() {
      return files();
    },
    get network() {
      return network();
    },
    get processes() {
      return processes();
    },
    now: () => new Date(),
    sleep: (ms) => Bun.sleep(ms),
    close: () => {
      if (!keepsStore) opened?.close();
    },
  };
}

/** A configuration that does not parse stops every command. The usual case is that there is none. */
async function loadConfig(named: string | null): Promise<Config> {
  const file = named ?? CONFIG_FILE;
  if (!existsSync(file) && named === null) return CONFIG_DEFAULT;
  const { readConfig } = await import("./config/config.ts");
  return readConfig(file, named !== null);
}

const privileged = (): boolean => process.geteuid?.() === 0;

interface Opened {
  /**
   * For a session: opens the store for reading, once for all operations. A command has none, and keeps the one store it
   * writes to until its process ends (main.ts).
   */
  readonly reader: ((options: Omit<StoreOptions, "mode" | "owner">) => () => StorePort) | null;
  readonly settings: Settings;
  write(text: string): void;
}

async function openRuntime({ settings, write, reader }: Opened): Promise<Runtime> {
  const folders = foldersOf(settings);
  const config = await loadConfig(settings.configFile);
  const log = openLog(settings.logLevel, write);
  const store = once(() => {
    const { runtimeDir, stateDir } = folders;
    return {
      path: `${stateDir}/bpfman.db`,
      runtimeDir,
      bootId: bootId(),
      busyTimeoutMs: databaseWaitMs(config),
      warn: (message: string) => log.warn(message),
      // Pins are as old as the boot: without their file system nothing runs that a row could name.
      isLive: () =>
        (require("./bpffs/prepare.ts") as typeof import("./bpffs/prepare.ts")).isBpffs(`${folders.runtimeDir}/fs`),
    };
  });
  const openStore = (mode: "read" | "write", owner: ProcessIdentity | null): StorePort =>
    (require("./store/store.ts") as typeof import("./store/store.ts")).openStore({ ...store(), mode, owner });
  const kept = reader === null ? null : once(() => reader(store()));
  const written = once(() => openStore("write", null));
  return {
    log,
    lockTimeoutMs: settings.lockTimeoutMs,
    privileged,
    identity: () => ({ uid: process.getuid?.() ?? 0, parentPid: process.ppid }),
    openVersions: async () => {
      const { versions } = await import("./kernel/versions.ts");
      return {
        versions: () => versions(buildInfo),
        features: async () => (privileged() ? (await import("./kernel/features.ts")).features() : null),
      };
    },
    openBuild: async () => {
      const { openFiles } = await import("./files/files.ts");
      const { openImageBuild } = await import("./image/build.ts");
      return { files: openFiles(folders.runtimeDir), ...openImageBuild({ caFile: settings.caFile, env: process.env }) };
    },
    openImages: async () => {
      const { openImages } = await import("./image/images.ts");
      const { cacheDir } = folders;
      return openImages({ cacheDir, caFile: settings.caFile, env: process.env, signing: config.signing });
    },
    openLock: async () => (await import("./lock/lock.ts")).openLock(`${folders.runtimeDir}/lock`),
    openHost: async (mode, owner = null) => {
      const keepsStore = mode === "write" && kept === null;
      const opening = mode === "read" && kept !== null ? kept() : () => openStore(mode, owner);
      return openHost({ folders, config }, { openStore: keepsStore ? written : opening, keepsStore });
    },
    openProcesses: async () => (await import("./files/processes.ts")).openProcesses(),
    watchStore: async (changed) => (await import("./store/watch.ts")).watchDatabase(store(), changed),
  };
}

/** Everything calls the C library; where that cannot be, the first call says so. */
async function openCallable(opened: Opened): Promise<Runtime> {
  try {
    return await openRuntime(opened);
  } catch (thrown) {
    if (!(thrown instanceof LibraryError)) throw thrown;
    throw (require("./kernel/failure.ts") as typeof import("./kernel/failure.ts")).libraryFailure(thrown);
  }
}

/** Binds the operations to this machine. `write` takes the log's lines. */
export const connect = async (settings: Settings, write: (text: string) => void): Promise<Invoke> =>
  createInvoke(await openCallable({ settings, write, reader: null }));

/** The same for a session of the JSON-RPC server, which also hears of changes. */
export async function connectSession(settings: Settings, write: (text: string) => void): Promise<SessionService> {
  const [{ createSessionService }, { keepReader }] = await Promise.all([
    import("./service/session.ts"),
    import("./store/kept-reader.ts"),
  ]);
  return createSessionService(await openCallable({ settings, write, reader: keepReader }));
}
