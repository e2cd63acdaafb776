/** The command line of the daemon, and how it is started by others. */
import { expect, test } from "bun:test";
import { cli } from "../../fakes/cli-host.ts";

const USUAL = {
  socketPath: "/run/bpfman-sock/bpfman.sock",
  socketGroup: null,
  csiSocket: null,
  metricsSocket: null,
};

test.each([
  ["serve", {}],
  ["serve --socket-path /a.sock --socket-group 27", { socketPath: "/a.sock", socketGroup: "27" }],
  ["serve --csi-support", { csiSocket: "/run/bpfman/csi/csi.sock" }],
  ["serve --csi-support --csi-socket /c.sock", { csiSocket: "/c.sock" }],
  ["serve --csi-socket /c.sock", {}],
  ["serve --metrics-socket /m.sock", { metricsSocket: "/m.sock" }],
  // As the DaemonSet of bpfman-operator runs it.
  ["--csi-support", { csiSocket: "/run/bpfman/csi/csi.sock" }],
  ["--csi-support --socket-path /a.sock", { csiSocket: "/run/bpfman/csi/csi.sock", socketPath: "/a.sock" }],
])("%s", async (line, options) => {
  expect(await cli(line)).toMatchObject({ code: 0, out: "", err: "", served: [{ ...USUAL, ...options }] });
});

test("the environment stands for options, which take precedence", async () => {
  const env = { BPFMAN_SOCKET_PATH: "/env.sock" };
  expect((await cli("serve", { env })).served).toEqual([{ ...USUAL, socketPath: "/env.sock" }]);
  expect((await cli("serve --socket-path /a.sock", { env })).served).toEqual([{ ...USUAL, socketPath: "/a.sock" }]);
});

test.each([
  ["serve", {}, "warn"],
  ["serve", { RUST_LOG: "debug" }, "debug"],
  ["serve", { RUST_LOG: "info,bpfman=trace" }, "trace"],
  ["serve", { RUST_LOG: "" }, "warn"],
  ["serve", { BPFMAN_LOG: "error" }, "error"],
  ["serve", { BPFMAN_LOG: "error", RUST_LOG: "info" }, "info"],
  ["serve --log-level off", { RUST_LOG: "info" }, "off"],
  ["list programs", { RUST_LOG: "debug" }, "warn"],
])("%s with %j logs at the level it says", async (line, env, logLevel) => {
  const { connected } = await cli(line, { env, answer: () => ({ programs: [] }) });
  expect(connected).toMatchObject([{ logLevel }]);
});

test("a level that is none names the variable", async () => {
  const { code, err, served } = await cli("serve", { env: { RUST_LOG: "loud=very" } });
  expect({ code, served }).toEqual({ code: 2, served: [] });
  expect(err).toContain("in RUST_LOG");
});
