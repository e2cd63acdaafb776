/** Registries that require a login: where the executable finds it, what it says without one, and what it never shows. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { containerTools } from "../labs/container-tools.ts";
import { executable, type Outcome } from "../labs/executable.ts";
import { putLife } from "../servers/put-bytecode.ts";
import { AUTH, PASSWORD, startRegistry, type TestRegistry, USER } from "../servers/registry.ts";

const bpfman = executable();
// Nothing here is signed, which would be said of each image that is pulled.
beforeEach(() => {
  bpfman.env.BPFMAN_LOG = "error";
});
const WRONG = Buffer.from(`${USER}:not-the-password`).toString("base64");
const LOAD = ["--programs", "tracepoint:on_openat"];

/** Contents of all files below a directory, as text, and where its symbolic links lead; pins have none. */
function filesBelow(directory: string): string {
  return readdirSync(directory)
    .map((name) => join(directory, name))
    .filter((path) => !path.endsWith("/fs"))
    .map((path) => {
      const stats = lstatSync(path);
      if (stats.isDirectory()) return filesBelow(path);
      return stats.isSymbolicLink() ? readlinkSync(path) : readFileSync(path, "latin1");
    })
    .join("\n");
}

function expectSecret(...texts: string[]): void {
  for (const secret of [PASSWORD, AUTH, AUTH.replace(/=+$/, ""), encodeURIComponent(PASSWORD), WRONG]) {
    for (const text of texts) expect(text.includes(secret)).toBe(false);
  }
}

describe.each(["basic", "token"] as const)("a registry with login by %s", (login) => {
  let registry: TestRegistry;
  let image: string;
  beforeAll(async () => {
    registry = await startRegistry({ login });
    image = await putLife(registry, "private/life:1");
  }, 60_000);
  afterAll(() => registry?.close());

  const authFile = (auth = AUTH) => {
    const path = bpfman.path("auth.json");
    writeFileSync(path, JSON.stringify({ auths: { [registry.host]: { auth } } }));
    return path;
  };

  test("--registry-auth", async () => {
    await bpfman.ok("image", "pull", "-i", image, "--registry-auth", AUTH);
    await bpfman.ok("load", "image", "-i", image, "-p", "always", "-r", AUTH, ...LOAD);
    await bpfman.ok("image", "inspect", image, "-r", AUTH);
  });

  test("BPFMAN_REGISTRY_AUTH, which the list of processes does not show", async () => {
    bpfman.env.BPFMAN_REGISTRY_AUTH = AUTH;
    await bpfman.ok("image", "pull", "-i", image);
    await bpfman.ok("program", "load", "image", image, "-p", "Always", ...LOAD);
    await bpfman.ok("image", "inspect", image);
    await bpfman.ok("image", "verify", image, "--allow-unsigned");
    // The option wins over it, and empty is none.
    await bpfman.refused(4, "REGISTRY_DENIED", "image", "pull", "-i", image, "-p", "always", "-r", btoa("no:body"));
    bpfman.env.BPFMAN_REGISTRY_AUTH = "";
    await bpfman.refused(4, "REGISTRY_DENIED", "image", "pull", "-i", image, "-p", "always");
  });

  test("what podman login writes", async () => {
    const tools = containerTools(registry.host);
    try {
      await tools.podman("login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, registry.host);
      bpfman.env.REGISTRY_AUTH_FILE = tools.authFile;
      await bpfman.ok("image", "pull", "-i", image);
    } finally {
      tools.close();
    }
  });

  test("a helper of docker's", async () => {
    const bin = bpfman.path("bin");
    mkdirSync(bin);
    const answer = JSON.stringify({ ServerURL: registry.host, Username: USER, Secret: PASSWORD });
    writeFileSync(join(bin, "docker-credential-test"), `#!/bin/sh\necho '${answer}'\n`);
    chmodSync(join(bin, "docker-credential-test"), 0o755);
    mkdirSync(bpfman.path("docker"));
    writeFileSync(bpfman.path("docker/config.json"), JSON.stringify({ credHelpers: { [registry.host]: "test" } }));
    Object.assign(bpfman.env, { DOCKER_CONFIG: bpfman.path("docker"), PATH: `${bin}:${process.env.PATH}` });
    await bpfman.ok("image", "pull", "-i", image);
  });

  test("none, a wrong one, one that is malformed: each its own error, and no secrets", async () => {
    const pull = ["image", "pull", "-i", image];
    const none = await bpfman.refused(4, "REGISTRY_DENIED", ...pull);
    expect(none.message).toContain("requires credentials, or has no such image");
    expect(none.hint).toContain(`podman login ${registry.host}`);
    const wrong = await bpfman.refused(4, "REGISTRY_DENIED", ...pull, "-r", WRONG);
    expect(wrong.message).toContain("rejects the credentials from --registry-auth");
    bpfman.env.REGISTRY_AUTH_FILE = authFile(WRONG);
    const fromFile = await bpfman.refused(4, "REGISTRY_DENIED", ...pull);
    expect(fromFile.message).toContain(`rejects the credentials from "${bpfman.path("auth.json")}"`);
    const malformed = await bpfman.refused(1, "INVALID_CREDENTIALS", ...pull, "-r", `${USER}:${PASSWORD}`);
    expectSecret(JSON.stringify([none, wrong, fromFile, malformed]));
    expect(existsSync(join(bpfman.runtimeDir, "cache/blobs"))).toBe(false);
  });

  test("nothing that is written shows the password", async () => {
    const verbose = ["--log-level", "trace"];
    const runs: Outcome[] = [];
    for (const auth of [AUTH, WRONG]) {
      runs.push(await bpfman.run(...verbose, "load", "image", "-i", image, "-p", "always", "-r", auth, ...LOAD));
      bpfman.env.REGISTRY_AUTH_FILE = authFile(auth);
      runs.push(await bpfman.run(...verbose, "load", "image", "-i", image, "-p", "always", ...LOAD));
      runs.push(await bpfman.run(...verbose, "image", "inspect", image, "-o", "json"));
    }
    expect(runs.map((run) => run.code)).toEqual([0, 0, 0, 4, 4, 1]);
    expectSecret(...runs.flatMap((run) => [run.out, run.error]));
    // Database, cache, bytecode, lock: all that a command leaves.
    expectSecret(filesBelow(bpfman.runtimeDir));
  });
});

test("while it runs, a login that was found in a file is not in what others see of the process", async () => {
  const asked = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.headers.get("authorization") === null) {
        return new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
      }
      asked.resolve();
      await Bun.sleep(20_000);
      return new Response();
    },
  });
  try {
    const host = `127.0.0.1:${server.port}`;
    writeFileSync(bpfman.path("auth.json"), JSON.stringify({ auths: { [host]: { auth: AUTH } } }));
    bpfman.env.REGISTRY_AUTH_FILE = bpfman.path("auth.json");
    const started = bpfman.start("image", "inspect", `${host}/a:1`);
    await asked.promise;
    const seen = ["cmdline", "comm", "environ", "stat"].map((name) =>
      readFileSync(`/proc/${started.pid}/${name}`, "latin1"),
    );
    expectSecret(...seen);
    started.kill("SIGTERM");
    const { code, error } = await started.ended;
    expect(code).toBe(130);
    expectSecret(error);
  } finally {
    await server.stop(true);
  }
});

describe("TLS", () => {
  let registry: TestRegistry;
  let image: string;
  beforeAll(async () => {
    registry = await startRegistry({ tls: true });
    image = await putLife(registry, "life:1");
  }, 60_000);
  afterAll(() => registry?.close());

  test("a certificate that nobody signed is not trusted, and no way around TLS is tried", async () => {
    const error = await bpfman.refused(5, "REGISTRY_CERTIFICATE", "image", "pull", "-i", image);
    expect(error.message).toBe(`talk to the registry ${registry.host}: its certificate is self-signed`);
    expect(error.hint).toContain("--ca-file");
  });

  test("--ca-file, its environment variable, and that of node", async () => {
    const ca = registry.caFile ?? "";
    await bpfman.ok("--ca-file", ca, "image", "pull", "-i", image);
    await bpfman.ok("image", "inspect", image.replace("127.0.0.1", "localhost"), "--ca-file", ca);
    for (const name of ["BPFMAN_CA_FILE", "NODE_EXTRA_CA_CERTS"]) {
      bpfman.env[name] = ca;
      await bpfman.ok("image", "inspect", image);
      delete bpfman.env[name];
    }
  });

  test("a file that holds no certificates, or is not there", async () => {
    const inspect = ["image", "inspect", image, "--ca-file"];
    await bpfman.refused(1, "FILE_NOT_FOUND", ...inspect, bpfman.path("none.pem"));
    writeFileSync(bpfman.path("empty.pem"), "nothing");
    const error = await bpfman.refused(1, "FILE_UNREADABLE", ...inspect, bpfman.path("empty.pem"));
    expect(error.message).toContain("it has none in PEM");
  });

  test("the authority of one registry is nothing to do with another's certificate", async () => {
    const other = await startRegistry({ tls: true });
    try {
      const command = ["image", "inspect", `${other.host}/a:1`, "--ca-file", registry.caFile ?? ""];
      await bpfman.refused(1, "REGISTRY_CERTIFICATE", ...command);
    } finally {
      await other.close();
    }
  });
});

describe("no registry", () => {
  test("no such host, nobody there", async () => {
    const host = await bpfman.refused(1, "REGISTRY_UNREACHABLE", "image", "pull", "-i", "no-such-host.invalid/a:1");
    expect(host.message).toMatch(/there is no such host|cannot be resolved right now/);
    const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    free.stop(true);
    const port = await bpfman.refused(1, "REGISTRY_UNREACHABLE", "image", "pull", "-i", `127.0.0.1:${free.port}/a:1`);
    expect(port.message).toContain("nothing is listening there");
  });

  test("a web server that is no registry", async () => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("<html>hello</html>") });
    try {
      const error = await bpfman.refused(1, "INVALID_IMAGE", "image", "pull", "-i", `127.0.0.1:${server.port}/a:1`);
      expect(error.message).toContain("it is not JSON");
    } finally {
      await server.stop(true);
    }
  });
});
