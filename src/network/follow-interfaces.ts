/** Notices that interfaces come and go, in some namespaces; with `named`, that namespaces of ip-netns(8) do. */
import { readdirSync, statSync } from "../../ffi/safe/file-system.ts";
import { followInterfaces as follow, type InterfaceEvents } from "../../ffi/safe/interface-events.ts";
import { waitFor } from "../../ffi/safe/ready.ts";
import { errnoName } from "../errors/sys-failure.ts";

const NAMED_NAMESPACES = "/run/netns";

export interface FollowedInterfaces {
  /** Blocks the process until something has changed since it was asked last, at most that long. Returns whether it has. */
  wait(ms: number): boolean;
  close(): void;
}

export interface Followed {
  /** Paths of namespaces; null for the caller's own. Those that are gone are left out. */
  readonly namespaces: readonly (string | null)[];
  readonly named: boolean;
}

export function followInterfaces({ namespaces, named }: Followed): FollowedInterfaces {
  const sockets: InterfaceEvents[] = [];
  const close = (): void => {
    for (const socket of sockets) socket.close();
  };
  try {
    for (const path of namespaces) {
      const socket = unlessGone(() => follow(path));
      if (socket !== null) sockets.push(socket);
    }
  } catch (thrown) {
    close();
    throw thrown;
  }
  let known = named ? listed() : "";
  return {
    wait(ms) {
      waitFor(
        sockets.map(({ fd }) => fd),
        ms,
      );
      const before = known;
      if (named) known = listed();
      return sockets.map((socket) => socket.drain()).some((changed) => changed) || known !== before;
    },
    close,
  };
}

function unlessGone<T>(open: () => T): T | null {
  try {
    return open();
  } catch (thrown) {
    // It went after the apply looked, or never was one: the next apply says so.
    if (errnoName(thrown) === null) throw thrown;
    return null;
  }
}

/** A namespace's file is there, empty, before the namespace is. */
function listed(): string {
  try {
    const names = readdirSync(NAMED_NAMESPACES).sort();
    return names.map((name) => `${name}:${statSync(`${NAMED_NAMESPACES}/${name}`)?.ino ?? ""}`).join("/");
  } catch {
    return "";
  }
}
