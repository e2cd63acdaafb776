/** `bpfman serve`: the daemon of a node, which bpfman-operator's agent drives over gRPC. */
import type { Server } from "node:http";
import { hostname } from "node:os";
import type { LogPort } from "../domain/log.ts";
import type { DaemonOptions } from "../domain/settings.ts";
import { BpfmanError } from "../errors/error.ts";
import type { SessionService } from "../service/session.ts";
import { inTurn } from "../../rpc/change-queue.ts";
import { bpfmanMethods, type Run } from "./bpfman-v1.ts";
import { healthMethods } from "./health.ts";
import { type Activation, groupId, isActivated, type Listening, listenAt, listenOnPassed } from "./listen.ts";
import { GrpcServer } from "./server.ts";

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
/** The kubelet is root. */
const CSI_SOCKET_MODE = 0o600;
/** Metrics can only be read, and who reads them need not be as good as root. */
const METRICS_SOCKET_MODE = 0o666;

/** Serves until the process is told to exit, and returns the exit code. Throws BpfmanError. */
export async function serveDaemon(host: DaemonHost): Promise<number> {
  const { service, signal, socketPath } = host;
  const { log } = service;
  requireDifferent([socketPath, host.csiSocket, host.metricsSocket]);
  // Rather than with each call: without the rights for it, or a state that can be read, there is nothing to serve.
  await service.invoke("program/list", { view: "summary" }, { calledAs: "bpfman serve" });
  // Who calls, on which connection, is nobody's business here: no call waits for the image of another one.
  const invoke = inTurn(service, () => true);
  const run: Run = (name, request, { signal }) => invoke(name, request, { signal });
  const kubernetes = host.csiSocket === null ? null : await inKubernetes(run, host);
  const methods = bpfmanMethods(kubernetes?.run ?? run);
  const server = new GrpcServer({ methods: [...methods, ...healthMethods(methods)], log });
  const listening: Listening[] = [];
  let metrics: Server | null = null;
  try {
    if (isActivated(host.env)) {
      listening.push(await listenOnPassed(server.http));
      host.say("serving bpfman.v1 on the socket of systemd");
    } else {
      const gid = gidOf(host.socketGroup, log);
      listening.push(await listenAt(server.http, { path: socketPath, mode: SOCKET_MODE, gid }));
      host.say(`serving bpfman.v1 on "${socketPath}"`);
    }
    if (host.metricsSocket !== null) {
      const { metricsServer } = await import("./metrics.ts");
      metrics = metricsServer(service.invoke);
      listening.push(await listenAt(metrics, { path: host.metricsSocket, mode: METRICS_SOCKET_MODE, gid: 0 }));
      host.say(`serving metrics on "${host.metricsSocket}"`);
    }
    if (host.csiSocket !== null && kubernetes !== null) {
      listening.push(await listenAt(kubernetes.csi.http, { path: host.csiSocket, mode: CSI_SOCKET_MODE, gid: 0 }));
      host.say(`serving csi.v1 on "${host.csiSocket}"`);
    }
    await aborted(signal);
    log.info("stopping");
  } finally {
    for (const each of listening) each.remove();
    metrics?.close();
    await Promise.all([server.stop(), kubernetes?.csi.stop()]);
  }
  return 0;
}

/** Throws INVALID_REQUEST: one of them would find the other's socket, and take it for another process's. */
function requireDifferent(paths: readonly (string | null)[]): void {
  const twice = paths.find((path, index) => path !== null && paths.indexOf(path) !== index);
  if (twice === undefined) return;
  throw new BpfmanError("INVALID_REQUEST", `serve on "${twice}": two sockets have that path`, {
    details: { path: twice },
    hint: "give each a path of its own",
  });
}

/** What only an agent and a kubelet want, who make this a node of a cluster. */
async function inKubernetes(run: Run, { env, service }: DaemonHost): Promise<{ run: Run; csi: GrpcServer }> {
  const [{ forAgent }, { csiMethods }] = await Promise.all([import("./agent-loops.ts"), import("./csi.ts")]);
  const methods = csiMethods(run, env.KUBE_NODE_NAME || hostname());
  return { run: forAgent(run), csi: new GrpcServer({ methods, log: service.log }) };
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
    hint: /^[A-Za-z_][\w-]*$/.test(name)
      ? `create it with "groupadd --system ${name}", or give another one with --socket-group`
      : "give a group's name or number with --socket-group",
  });
}

const aborted = (signal: AbortSignal): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
};
