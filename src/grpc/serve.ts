/** `bpfman serve`: the daemon of a node, which bpfman-operator's agent drives over gRPC. */
import type { LogPort } from "../domain/log.ts";
import { BpfmanError } from "../errors/error.ts";
import { isExclusive, OPERATIONS } from "../service/operations.ts";
import type { SessionService } from "../service/session.ts";
import { ChangeQueue } from "../../rpc/change-queue.ts";
import { bpfmanMethods, type Run } from "./bpfman-v1.ts";
import { healthMethods } from "./health.ts";
import { type Activation, groupId, isActivated, type Listening, listenAt, listenOnPassed } from "./listen.ts";
import { GrpcServer } from "./server.ts";

export interface DaemonOptions {
  readonly socketPath: string;
  /** Who may connect besides root; null for `bpfman`, if there is such a group. */
  readonly socketGroup: string | null;
  /** Null without CSI. */
  readonly csiSocket: string | null;
}

export interface DaemonHost extends DaemonOptions {
  /** Makes its changes in another process. */
  readonly service: SessionService;
  /** Aborted when this process is told to exit. */
  readonly signal: AbortSignal;
  readonly env: Activation;
  /** Tells the operator something, whatever the log level. */
  say(line: string): void;
}

const GROUP_DEFAULT = "bpfman";
/** Whoever can write to the socket can load programs: it is as good as root. */
const SOCKET_MODE = 0o660;

/** Serves until the process is told to exit, and returns the exit code. Throws BpfmanError. */
export async function serveDaemon(host: DaemonHost): Promise<number> {
  const { service, signal, socketPath } = host;
  const { log } = service;
  const methods = bpfmanMethods(inTurn(service));
  const server = new GrpcServer({ methods: [...methods, ...healthMethods(methods)], log });
  const listening: Listening[] = [];
  try {
    if (isActivated(host.env)) {
      listening.push(await listenOnPassed(server.http));
      host.say("serving bpfman.v1 on the socket of systemd");
    } else {
      const gid = gidOf(host.socketGroup, log);
      listening.push(await listenAt(server.http, { path: socketPath, mode: SOCKET_MODE, gid }));
      host.say(`serving bpfman.v1 on "${socketPath}"`);
    }
    await aborted(signal);
    log.info("stopping");
  } finally {
    for (const each of listening) each.remove();
    await server.stop();
  }
  return 0;
}

/** Runs changes one at a time, in order of arrival, and reads beside them. */
function inTurn(service: SessionService): Run {
  const changes = new ChangeQueue();
  return (name, request, { signal }) => {
    const run = () => service.invoke(name, request, { signal });
    return isExclusive(OPERATIONS[name].access) ? changes.run(run, signal) : run();
  };
}

/** Throws INVALID_REQUEST for a group that is named and not there. */
function gidOf(name: string | null, log: LogPort): number {
  const gid = groupId(name ?? GROUP_DEFAULT);
  if (gid !== null) return gid;
  if (name === null) {
    log.info(`there is no group "${GROUP_DEFAULT}": only root can connect`);
    return 0;
  }
  throw new BpfmanError("INVALID_REQUEST", `serve to the group "${name}": there is no such group`, {
    details: { field: "socketGroup" },
    hint: `create it with "groupadd --system ${name}", or give another one with --socket-group`,
  });
}

const aborted = (signal: AbortSignal): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
};
