import { SIGNING_DEFAULT, type SigningConfig } from "./signing.ts";

/** Where XDP programs run: in the driver, in the generic path of the network stack, or on the NIC. */
export const XDP_MODES = ["drv", "skb", "hw"] as const;
export type XdpMode = (typeof XDP_MODES)[number];

/** How the only program on a hook can run. */
export const ALONE_MODES = ["direct", "chain"] as const;
/** Who may use the maps that bpfman pins, besides root. */
export interface MapAccess {
  /** Name or number; null: the group of whoever runs bpfman. */
  readonly group: string | number | null;
  /** Permissions of pins, as in chmod(2): reading and writing a map. */
  readonly mode: number;
}

/** As the kernel makes pins. */
export const MAP_ACCESS_DEFAULT: MapAccess = { group: null, mode: 0o600 };

/** The configuration file, with defaults filled in. */
export interface Config {
  /** Settings by interface name. Interfaces that are not listed use the default. */
  readonly interfaces: ReadonlyMap<string, { readonly xdpMode: XdpMode }>;
  readonly signing: SigningConfig;
  readonly dispatcher: {
    /** How the only XDP or TC program on a hook runs: by itself where nothing differs, or always in a dispatcher. */
    readonly alone: (typeof ALONE_MODES)[number];
  };
  readonly maps: MapAccess;
  readonly restore: {
    /** Whether everything comes back by itself after a reboot, or only what was loaded to be kept. */
    readonly enabled: boolean;
  };
  readonly database: {
    /** How often to retry when the database is locked. */
    readonly maxRetries: number;
    /** Milliseconds between two attempts. */
    readonly millisecDelay: number;
  };
}

export const CONFIG_DEFAULT: Config = {
  interfaces: new Map(),
  signing: SIGNING_DEFAULT,
  dispatcher: { alone: "direct" },
  maps: MAP_ACCESS_DEFAULT,
  restore: { enabled: false },
  database: { maxRetries: 10, millisecDelay: 1_000 },
};

/** The longest a command waits for a locked database, in milliseconds. SQLite takes an int. */
export const databaseWaitMs = ({ database }: Config): number =>
  Math.min(database.maxRetries * database.millisecDelay, 0x7fff_ffff);
