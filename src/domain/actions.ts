/** XDP and TC actions: names, numbers, and the masks that say after which of them a chain continues. */

import type { ChainedKind } from "./kinds.ts";

/** XDP_* (include/uapi/linux/bpf.h) by name; an empty dispatcher slot returns `dispatcher_return`. */
export const XDP_ACTIONS = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4, dispatcher_return: 31 } as const;
export type XdpAction = keyof typeof XDP_ACTIONS;
export const XDP_PROCEED_ON_DEFAULT: readonly XdpAction[] = ["pass", "dispatcher_return"];

/** TC_ACT_* (include/uapi/linux/pkt_cls.h) by name. */
export const TC_ACTIONS = {
  unspec: -1,
  ok: 0,
  reclassify: 1,
  shot: 2,
  pipe: 3,
  stolen: 4,
  queued: 5,
  repeat: 6,
  redirect: 7,
  trap: 8,
  dispatcher_return: 30,
} as const;
export type TcAction = keyof typeof TC_ACTIONS;
export const TC_PROCEED_ON_DEFAULT: readonly TcAction[] = ["ok", "pipe", "dispatcher_return"];

/** The actions of each kind that a dispatcher runs. */
export const ACTIONS = { xdp: XDP_ACTIONS, tc: TC_ACTIONS } as const satisfies Record<
  ChainedKind,
  Readonly<Record<string, number>>
>;

/** Returns the name of an action, or the number itself if it has no name. */
export function actionName(actions: Readonly<Record<string, number>>, value: number): string {
  for (const [name, number] of Object.entries(actions)) if (number === value) return name;
  return String(value);
}
