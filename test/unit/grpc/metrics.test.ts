/** Metrics on a socket that everybody may connect to. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { METRICS_CONNECTIONS_MAX } from "../../../src/domain/limits.ts";
import { metricsServer } from "../../../src/grpc/metrics.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import { until } from "../../labs/kernel-lab.ts";

test("more connections than allowed are closed, and it answers again when others have ended", async () => {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-metrics-"));
  const unix = join(directory, "x.sock");
  const server = metricsServer((async () => ({ metrics: [] })) as unknown as Invoke);
  await new Promise<void>((resolve) => server.listen(unix, resolve));
  let closed = 0;
  const count = (): void => void closed++;
  const others = Array.from({ length: METRICS_CONNECTIONS_MAX + 10 }, () => connect(unix).on("close", count));
  await until(() => closed >= 10);
  for (const other of others) other.destroy();
  const answers = async (): Promise<boolean> =>
    fetch("http://localhost/metrics", { unix }).then(
      ({ status }) => status === 200,
      () => false,
    );
  while (!(await answers()));
  server.close();
  rmSync(directory, { recursive: true });
  expect(closed).toBeGreaterThanOrEqual(10);
});
