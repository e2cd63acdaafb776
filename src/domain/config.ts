import { SIGNING_DEFAULT, type SigningConfig } from "./signing.ts";

/** Where XDP programs run: in the driver, in the generic path of the network stack, or on the NIC. */
export const XDP_MODES = ["drv", "skb", "hw"] as const;
export type XdpMode = (typeof XDP_MODES)[number];

/** The configuration file, with defaults applied. */
export interface Config {
  /** Settings by interface name. Interfaces that are not listed use the default. */
  readonly interfaces: ReadonlyMap<string, { readonly xdpMode: XdpMode }>;
  readonly signing: SigningConfig;
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
  database: { maxRetries: 10, millisecDelay: 1_000 },
};

/** The longest a command waits for a locked database, in milliseconds. SQLite takes an int. */
export const databaseWaitMs = ({ database }: Config): number =>
  Math.min(database.maxRetries * database.millisecDelay, 0x7fff_ffff);
