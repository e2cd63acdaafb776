/** The service in the test's own process, on the state of an executable. */
import type { StatsAnswer } from "../../src/domain/stats-answer.ts";
import { connect } from "../../src/runtime.ts";
import type { Invoke } from "../../src/service/invoke.ts";

export const connected = (runtimeDir: string): Promise<Invoke> =>
  connect(
    {
      ...{ runtimeDir, stateDir: null, cacheDir: null, configFile: null, caFile: null },
      ...{ lockTimeoutMs: 0, logLevel: "error" },
    },
    (text) => process.stderr.write(text),
  );

/** Measures again and again; `more` says after each measurement whether that goes on. */
export async function measure(invoke: Invoke, request: object, more: (sample: StatsAnswer) => boolean): Promise<void> {
  const write = (bytes: Uint8Array): boolean => more(JSON.parse(new TextDecoder().decode(bytes)));
  await invoke("program/stats", { intervalMs: 200, ...request }, { sink: { separator: "", write } });
}
