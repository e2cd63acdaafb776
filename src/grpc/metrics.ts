/** Metrics for Prometheus over HTTP, on a Unix socket of their own. */
import { createServer, type Server } from "node:http";
import { METRICS_CONNECTIONS_MAX, METRICS_IDLE_TIMEOUT_MS } from "../domain/limits.ts";
import { prometheusText } from "../domain/prometheus.ts";
import type { Invoke } from "../service/invoke.ts";
import { statusOf } from "./errors.ts";

const TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN = "text/plain; charset=utf-8";

/** Answers GET /metrics. Who asks while they are collected gets the same ones. */
export function metricsServer(invoke: Invoke): Server {
  let collecting: Promise<string> | null = null;
  const collect = async (): Promise<string> => {
    try {
      return prometheusText((await invoke("metrics", { output: null })).metrics);
    } finally {
      collecting = null;
    }
  };
  const server = createServer(async ({ method, url }, response) => {
    const answer = (status: number, type: string, text: string): void => {
      response.writeHead(status, { "content-type": type }).end(method === "HEAD" ? "" : text);
    };
    if (method !== "GET" && method !== "HEAD") return answer(405, PLAIN, "metrics are only read: GET /metrics\n");
    if (url?.split("?", 1)[0] !== "/metrics") return answer(404, PLAIN, "the metrics are at /metrics\n");
    try {
      collecting ??= collect();
      answer(200, TEXT_FORMAT, await collecting);
    } catch (thrown) {
      answer(500, PLAIN, `${statusOf(thrown).message}\n`);
    }
  });
  // Others than root can connect, and must not use up the descriptors of the daemon.
  server.maxConnections = METRICS_CONNECTIONS_MAX;
  server.setTimeout(METRICS_IDLE_TIMEOUT_MS);
  return server;
}
