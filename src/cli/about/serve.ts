/** The daemon of a node, for those who have no command line there. */
import { defineCommand, ifGiven, optional, toggle } from "../command.ts";
import { GLOBALS } from "../globals.ts";

/** Where bpfman-operator's agent looks for it. */
const SOCKET_PATH_DEFAULT = "/run/bpfman-sock/bpfman.sock";
/** Where the operator has the kubelet look for it. */
const CSI_SOCKET_DEFAULT = "/run/bpfman/csi/csi.sock";

export const serve = defineCommand(() => ({
  description: [
    "Serves bpfman.v1 over gRPC on a Unix socket, for bpfman-operator, which drives the",
    "nodes of a Kubernetes cluster. Nothing else needs a daemon: commands work without",
    "it, and beside it.",
    "",
    "Whoever can write to the socket can load programs, and is as good as root: only",
    "root and one group can. A socket that systemd passes on is used as it is.",
    "",
    "SIGTERM ends it: calls may finish for 10 seconds. What is loaded and attached stays.",
  ],
  fields: {
    socketPath: optional(
      {
        long: "socket-path",
        metavar: "PATH",
        completes: "file",
        env: "BPFMAN_SOCKET_PATH",
        default: SOCKET_PATH_DEFAULT,
        doc: ["Socket to serve on."],
      },
      (text) => text,
      SOCKET_PATH_DEFAULT,
    ),
    socketGroup: optional({
      long: "socket-group",
      metavar: "GROUP",
      default: "bpfman, if there is such a group",
      doc: ["Group that can connect, by name or number, besides root."],
    }),
    csiSupport: toggle({
      long: "csi-support",
      doc: ["Also serve the Container Storage Interface, by which pods get maps."],
    }),
    csiSocket: optional(
      {
        long: "csi-socket",
        metavar: "PATH",
        completes: "file",
        default: CSI_SOCKET_DEFAULT,
        doc: ["Socket for that, which only root can connect to."],
      },
      (text) => text,
      CSI_SOCKET_DEFAULT,
    ),
    metricsSocket: optional({
      long: "metrics-socket",
      metavar: "PATH",
      completes: "file",
      doc: [
        "Also serve metrics for Prometheus over HTTP, as /metrics on this Unix socket.",
        "Everybody who can enter its directory can read them.",
      ],
    }),
    logLevel: ifGiven(GLOBALS.logLevel, { env: "RUST_LOG" }),
  },
  classic: {
    examples: {
      "Serve the agent of bpfman-operator": "bpfman serve",
      "Let members of another group connect": "bpfman serve --socket-path /run/bpfman.sock --socket-group wheel",
      "Let Prometheus read metrics": "bpfman serve --metrics-socket /run/bpfman-metrics.sock",
    },
  },
  prepare:
    ({ socketPath, socketGroup, csiSupport, csiSocket, metricsSocket, logLevel }) =>
    (session) => {
      if (logLevel !== null) session.moveTo({ logLevel });
      return session.serveDaemon({ socketPath, socketGroup, csiSocket: csiSupport ? csiSocket : null, metricsSocket });
    },
}));
