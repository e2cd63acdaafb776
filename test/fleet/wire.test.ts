/** Clients of others' on the daemon's socket: grpc-go with the code of bpfman's own project, grpcurl, h2spec. */
import { expect, test } from "bun:test";
import { createServer, connect } from "node:net";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { daemon } from "../labs/daemon.ts";
import { executable } from "../labs/executable.ts";
import { type GoProgram, goProgram, missingProgram } from "./go-program.ts";

const ROOT = resolve(import.meta.dir, "../..");
buildBpf();
const OBJECT = resolve(ROOT, "dist/bpf/fixtures/life.bpf.o");
const bpfman = executable();

function fleetTest(program: GoProgram, name: string, run: (path: string) => Promise<void>): void {
  const reason = missingProgram(program);
  if (reason === null) test(name, () => run(goProgram(program)), 10 * 60_000);
  else test.skip(`${name} (skipped: ${reason})`, () => {});
}

async function output(
  words: readonly string[],
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const child = Bun.spawn([...words], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const [code, out, error] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, error };
}

fleetTest("wire", "grpc-go calls every method", async (wire) => {
  const { socket } = await daemon(bpfman);
  const { code, out, error } = await output([wire, socket, OBJECT]);
  expect({ code, error }).toEqual({ code: 0, error: "" });
  const steps = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const [, { id }, { link }] = steps;
  expect(id).toBeGreaterThan(0);
  expect(steps).toEqual([
    { step: "check", code: "OK", status: "SERVING" },
    { step: "load", code: "OK", id, name: "on_openat", metadata: { "bpfman.io/uuid": "wire" } },
    { step: "attach", code: "OK", link },
    { step: "get", code: "OK", links: [link], file: OBJECT, type: 5 },
    { step: "list", code: "OK", programs: 1 },
    { step: "parallel", code: "OK", codes: { OK: 500 } },
    { step: "pull", code: "InvalidArgument", message: expect.stringMatching(/^INVALID_REFERENCE: .*"Größe:x:y"/) },
    { step: "late", code: "DeadlineExceeded", message: expect.any(String) },
    { step: "detach", code: "OK" },
    { step: "unload", code: "OK" },
    { step: "gone", code: "NotFound", message: expect.stringMatching(/^PROGRAM_NOT_FOUND: /) },
  ]);
  expect(await bpfman.programs()).toEqual([]);
});

fleetTest("grpcurl", "grpcurl calls by our .proto file, and there is no reflection", async (grpcurl) => {
  const { socket } = await daemon(bpfman);
  const call = (method: string, request: object) =>
    output([
      ...[grpcurl, "-plaintext", "-import-path", "src/grpc/proto", "-proto", "bpfman.proto", "-d"],
      ...[JSON.stringify(request), `unix://${socket}`, `bpfman.v1.Bpfman/${method}`],
    ]);
  const info = [{ name: "on_openat", program_type: "TRACEPOINT" }];
  const loaded = await call("Load", { bytecode: { file: OBJECT }, info, global_data: { LIMIT: "CgAAAA==" } });
  expect(loaded.error).toBe("");
  const { id } = JSON.parse(loaded.out).programs[0].kernelInfo;
  expect(JSON.parse((await call("Get", { id })).out)).toMatchObject({
    info: { name: "on_openat", bytecode: { file: OBJECT }, globalData: { LIMIT: "CgAAAA==" } },
    kernelInfo: { id, gplCompatible: true },
  });
  expect((await call("Unload", { id })).out).toBe("{}\n");
  const gone = await call("Get", { id });
  expect({ code: gone.code, error: gone.error }).toEqual({
    code: 69,
    error: expect.stringContaining("Code: NotFound"),
  });
  const list = await output([grpcurl, "-plaintext", `unix://${socket}`, "list"]);
  expect(list.error).toContain("does not support the reflection API");
});

/**
 * What fails of h2spec 2.2.1, by section and number. It is Bun's implementation of HTTP/2, which forgives clients: it
 * answers what should end a connection with the end of the stream, or with nothing.
 */
const FORGIVEN: readonly string[] = [
  "5.1 #1: idle: Sends a DATA frame",
  "5.1 #3: idle: Sends a WINDOW_UPDATE frame",
  "5.1 #8: closed: Sends a DATA frame after sending RST_STREAM frame",
  "5.1 #11: closed: Sends a DATA frame",
  "5.1 #12: closed: Sends a HEADERS frame",
  "5.1.1 #2: Sends stream identifier that is numerically smaller than previous",
  "5.3.1 #1: Sends HEADERS frame that depend on itself",
  "5.3.1 #2: Sends PRIORITY frame that depend on itself",
  "6.7 #2: Sends a PING frame with ACK",
  "6.9.2 #2: Sends a SETTINGS frame for window size to be negative",
];

/**
 * Fail now and then: whether the frame comes before the answer has closed the stream, or after, is up to the machine.
 * Bun forgives the latter.
 */
const SOMETIMES =
  /^(?:5\.1 #(?:5|6|7|9|10): (?:half closed \(remote\)|closed): |6\.1 #2: Sends a DATA frame on the stream that is not )/;

fleetTest("h2spec", "h2spec finds no more than what is known", async (h2spec) => {
  const { socket } = await daemon(bpfman);
  // It only knows TCP.
  const proxy = createServer((client) => {
    const server = connect(socket);
    client.on("error", () => server.destroy()).on("close", () => server.destroy());
    server.on("error", () => client.destroy()).on("close", () => client.destroy());
    client.pipe(server).pipe(client);
  });
  const { promise, resolve: listening } = Promise.withResolvers<void>();
  proxy.listen(0, "127.0.0.1", listening);
  await promise;
  try {
    const { port } = proxy.address() as { readonly port: number };
    const { out } = await output([h2spec, "-h", "127.0.0.1", "-p", String(port), "--timeout", "2"]);
    const found = failures(out);
    expect(found.filter((each) => !SOMETIMES.test(each))).toEqual([...FORGIVEN].toSorted());
    const [, tests, failed] = /^(\d+) tests, .* (\d+) failed$/m.exec(out) ?? [];
    expect({ tests, failed }).toEqual({ tests: "145", failed: String(found.length) });
  } finally {
    proxy.close();
  }
});

/** The tests that failed, each once, with the section in which they are. */
function failures(out: string): string[] {
  const found = new Set<string>();
  let section = "";
  for (const line of out.split("\n")) {
    const [, heading] = /^\s*(?:Failures:|(\d+(?:\.\d+)*)\. )/.exec(line) ?? [];
    if (heading !== undefined) section = heading;
    const [, failed] = /× (\d+: .*)$/.exec(line.slice(line.lastIndexOf("\r") + 1)) ?? [];
    if (failed !== undefined) found.add(`${section} #${failed}`);
  }
  return [...found].toSorted();
}
