import { SIGNING_DEFAULT, type SigningConfig } from "./signing.ts";

/** How XDP programs are put on an interface: in the driver, in the generic path of the stack, or on the card. */
export const XDP_MODES = ["drv", "skb", "hw"] as const;
export type XdpMode = (typeof XDP_MODES)[number];

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
  /** Interface name -> what is configured for it; interfaces that are not named have the default. */
  readonly interfaces: ReadonlyMap<string, { readonly xdpMode: XdpMode }>;
  readonly signing: SigningConfig;
  readonly maps: MapAccess;
  readonly database: {
    /** How often a locked database is tried again. */
    readonly maxRetries: number;
    /** Milliseconds between two tries. */
    readonly millisecDelay: number;
  };
}

export const CONFIG_DEFAULT: Config = {
  interfaces: new Map(),
  signing: SIGNING_DEFAULT,
  maps: MAP_ACCESS_DEFAULT,
  database: { maxRetries: 10, millisecDelay: 1_000 },
};

/** How long a command waits for a locked database at most, in milliseconds; SQLite takes an int. */
export const databaseWaitMs = ({ database }: Config): number =>
  Math.min(database.maxRetries * database.millisecDelay, 0x7fff_ffff);
