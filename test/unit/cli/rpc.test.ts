import { expect, test } from "bun:test";
import { cli } from "../../fakes/cli-host.ts";

test("serves with the global options, and ends as the session does", async () => {
  const run = await cli("rpc --runtime-dir /x --log-level debug", { sessionEnds: 130 });
  expect(run).toMatchObject({ code: 130, out: "", err: "", calls: [] });
  expect(run.connected).toMatchObject([{ runtimeDir: "/x", logLevel: "debug" }]);
});

test("--openrpc prints the document and serves nothing", async () => {
  const run = await cli("rpc --openrpc");
  expect(run).toMatchObject({ code: 0, err: "", connected: [] });
  expect(JSON.parse(run.out)).toEqual({ openrpc: "1.3.2" });
});

test("what clients of language servers pass is taken", async () => {
  expect(await cli("rpc --stdio --clientProcessId=4711")).toMatchObject({
    ...{ code: 0, out: "", err: "" },
    served: [{ clientProcessId: 4711 }],
  });
  expect((await cli("rpc --stdio")).served).toEqual([{ clientProcessId: null }]);
  for (const pid of ["0", "x", "-1", "4294967296"]) {
    expect(await cli(["rpc", `--clientProcessId=${pid}`])).toMatchObject({
      ...{ code: 2, connected: [] },
      err: expect.stringContaining(`invalid pid "${pid}"`),
    });
  }
});

test("what clients pass to the language server, and the command of its helper", async () => {
  const run = await cli(["lsp", "--stdio", "--clientProcessId=4711", "--helper", "sudo -n  bpfman rpc"]);
  expect(run).toMatchObject({
    ...{ code: 0, out: "", err: "" },
    served: [{ clientProcessId: 4711, helper: ["sudo", "-n", "bpfman", "rpc"] }],
  });
  expect((await cli("lsp")).served).toEqual([{ clientProcessId: null, helper: null }]);
  const env = { BPFMAN_LSP_HELPER: "pkexec bpfman rpc" };
  expect((await cli("lsp", { env })).served).toEqual([{ clientProcessId: null, helper: ["pkexec", "bpfman", "rpc"] }]);
  expect(await cli(["lsp", "--helper", " "])).toMatchObject({
    ...{ code: 2, connected: [] },
    err: expect.stringContaining("a command is needed"),
  });
});

test("takes no words", async () => {
  expect(await cli("rpc now")).toMatchObject({ code: 2, connected: [] });
});
