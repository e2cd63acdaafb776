/** Hostile and broken registries: rejected within bounds of time and memory, and credentials do not leak. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket, TCPSocketListener } from "bun";
import { LAYER_BYTES_MAX, MANIFEST_BYTES_MAX, REGISTRY_REDIRECTS_MAX } from "../../src/domain/limits.ts";
import { digestOf } from "../../src/image/repository.ts";
import { OCI_MANIFEST } from "../../src/image/manifest.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository } from "../../src/image/open-repository.ts";
import { openTransport } from "../../src/image/transport.ts";
import { failureOfAsync } from "../expect/failure.ts";
import { bytesOf, jsonBytes } from "../objects/image.ts";
import { AUTH } from "../servers/registry.ts";

const open = new Set<{ stop(force?: boolean): unknown }>();
afterEach(() => {
  for (const server of open) server.stop(true);
  open.clear();
});

type Answer = (request: Request) => Response | Promise<Response>;

/** A server on loopback; answers its `host:port`. */
function serve(answer: Answer): string {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer });
  open.add(server);
  return `127.0.0.1:${server.port}`;
}

/** A server that speaks no more HTTP than `answer` writes. */
function serveRaw(answer: (socket: Socket<undefined>, request: string) => void): string {
  const server: TCPSocketListener<undefined> = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, data) {
        const text = data.toString("latin1");
        // What is no HTTP is the attempt to speak TLS.
        if (/^(GET|HEAD|POST|PUT) /.test(text)) answer(socket, text);
        else socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      },
    },
  });
  open.add(server);
  return `127.0.0.1:${server.port}`;
}

function repositoryAt(
  host: string,
  { registryAuth = null as string | null, signal = new AbortController().signal } = {},
) {
  return openRepository(parseReference(`${host}/test/image:v1`), { signal, registryAuth, caFile: null, env: {} });
}

const MANIFEST = jsonBytes({ mediaType: OCI_MANIFEST, config: {}, layers: [] });
const BLOB = bytesOf("content");
const DESCRIPTOR = { mediaType: "x", digest: digestOf(BLOB), size: BLOB.length };

/** Runs it and answers its failure, and by how many MiB the process grew meanwhile at most. */
async function measured(run: () => Promise<unknown>) {
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 5);
  try {
    const error = await failureOfAsync(run);
    return { error, grownMiB: (Math.max(most, process.memoryUsage.rss()) - before) / 1024 / 1024 };
  } finally {
    clearInterval(watch);
  }
}

/** A body without end, in pieces of 64 KiB. */
function endless(): ReadableStream<Uint8Array> {
  const piece = new Uint8Array(65_536).fill(0x20);
  return new ReadableStream({ pull: (controller) => controller.enqueue(piece) });
}

describe("size", () => {
  // What is allowed, and some room for the collector.
  const ROOM_MIB = 160;

  test("a manifest without end", async () => {
    const host = serve(() => new Response(endless()));
    const { error, grownMiB } = await measured(() => repositoryAt(host).manifest("v1"));
    expect(error.code).toBe("REGISTRY_FAILED");
    expect(error.message).toContain(`more than ${MANIFEST_BYTES_MAX} bytes`);
    expect(grownMiB).toBeLessThan(ROOM_MIB);
  });

  test("a blob without end, or longer than announced", async () => {
    const host = serve(() => new Response(endless()));
    const { error, grownMiB } = await measured(() => repositoryAt(host).blob(DESCRIPTOR));
    expect(error.code).toBe("IMAGE_DAMAGED");
    expect(grownMiB).toBeLessThan(ROOM_MIB);
    const longer = serve(() => new Response("content and more"));
    expect((await failureOfAsync(() => repositoryAt(longer).blob(DESCRIPTOR))).code).toBe("IMAGE_DAMAGED");
  });

  test("an error without end: its beginning is enough", async () => {
    const host = serve(() => new Response(endless(), { status: 418 }));
    const { error, grownMiB } = await measured(() => repositoryAt(host).manifest("v1"));
    expect(error.message).toContain("status 418");
    expect(grownMiB).toBeLessThan(ROOM_MIB);
  });

  test("headers without end", async () => {
    const host = serveRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const line = `X-A: ${"a".repeat(10_000)}\r\n`;
      const more = () => {
        for (let i = 0; i < 50 && socket.readyState > 0; i++) if (socket.write(line) <= 0) break;
        if (socket.readyState > 0) setTimeout(more, 1);
      };
      more();
    });
    const { error, grownMiB } = await measured(() => repositoryAt(host).manifest("v1"));
    expect(error.code).toBe("REGISTRY_UNREACHABLE");
    expect(grownMiB).toBeLessThan(ROOM_MIB);
  });

  test("a descriptor that announces more than is ever fetched", async () => {
    let asked = 0;
    const host = serve(() => {
      asked++;
      return new Response("x");
    });
    for (const size of [LAYER_BYTES_MAX + 1, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const error = await failureOfAsync(() => repositoryAt(host).blob({ ...DESCRIPTOR, size }));
      expect(error.code).toBe("IMAGE_DAMAGED");
    }
    expect(asked).toBe(0);
  });
});

describe("content that is not what it should be", () => {
  test("a blob of another digest, or shorter", async () => {
    for (const body of ["c0ntent", "conten", ""]) {
      const host = serve(() => new Response(body));
      expect((await failureOfAsync(() => repositoryAt(host).blob(DESCRIPTOR))).code).toBe("IMAGE_DAMAGED");
    }
  });

  test("a manifest of another digest than asked for, or than its own header says", async () => {
    const host = serve(() => new Response(MANIFEST));
    const error = await failureOfAsync(() => repositoryAt(host).manifest(DESCRIPTOR.digest));
    expect(error.code).toBe("IMAGE_DAMAGED");
    expect(error.message).toContain(`not ${DESCRIPTOR.digest}`);
    const liar = serve(() => new Response(MANIFEST, { headers: { "docker-content-digest": DESCRIPTOR.digest } }));
    expect((await failureOfAsync(() => repositoryAt(liar).manifest("v1"))).code).toBe("IMAGE_DAMAGED");
  });

  test("a body shorter than its Content-Length is asked for again, and then given up", async () => {
    let asked = 0;
    const host = serveRaw((socket) => {
      asked++;
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort");
    });
    const error = await failureOfAsync(() => repositoryAt(host).blob(DESCRIPTOR));
    expect(error.code).toBe("REGISTRY_UNREACHABLE");
    expect(error.message).toContain("the connection was lost");
    expect(asked).toBeGreaterThan(1);
  });

  test("a body longer than its Content-Length", async () => {
    const host = serveRaw((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncontent"));
    expect((await failureOfAsync(() => repositoryAt(host).blob(DESCRIPTOR))).code).toBe("IMAGE_DAMAGED");
  });

  test("a body that says it is packed is taken as it is", async () => {
    const host = serve(() => new Response(BLOB, { headers: { "content-encoding": "gzip" } }));
    expect(new TextDecoder().decode(await repositoryAt(host).blob(DESCRIPTOR))).toBe("content");
  });

  test.each(["rubbish\r\n\r\n", "", "HTTP/1.1 99999 What\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"])(
    "%j is no answer",
    async (text) => {
      const host = serveRaw((socket) => socket.end(text));
      const error = await failureOfAsync(() => repositoryAt(host).manifest("v1"));
      expect(["REGISTRY_UNREACHABLE", "REGISTRY_FAILED", "INVALID_IMAGE"]).toContain(error.code);
    },
  );
});

/** All of them lead to 169.254.0.0/16 or fe80::/10, in the notations that addresses may have. */
const LINK_LOCAL = [
  "169.254.169.254",
  "169.254.169.254.",
  "2852039166",
  "0xa9fea9fe",
  "0251.0376.0251.0376",
  "169.254.43518",
  "%31%36%39.254.169.254",
  "[fe80::1]",
  "[FE80:0:0:0:0:0:0:1]",
  "[febf:ffff::1]",
  "[::ffff:169.254.169.254]",
  "[::ffff:a9fe:1]",
  "[::169.254.169.254]",
  "[64:ff9b::169.254.169.254]",
  "[2002:a9fe:a9fe::1]",
];

describe("redirects", () => {
  test("redirects in a circle", async () => {
    let asked = 0;
    const host = serve((request) => {
      asked++;
      return new Response(null, { status: 307, headers: { location: request.url } });
    });
    const error = await failureOfAsync(() => repositoryAt(host).manifest("v1"));
    expect(error.code).toBe("REGISTRY_FAILED");
    expect(error.message).toContain(`more than ${REGISTRY_REDIRECTS_MAX} times`);
    expect(asked).toBe(REGISTRY_REDIRECTS_MAX + 1);
  });

  test.each([
    "http://example.com/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "http://[::ffff:8.8.8.8]/",
    "http://127.1.evil/",
  ])("to %s, which is not encrypted", async (location) => {
    const host = serve(() => new Response(null, { status: 302, headers: { location } }));
    const error = await failureOfAsync(() => repositoryAt(host).manifest("v1"));
    expect(error.code).toBe("REGISTRY_FAILED");
    expect(error.message).toContain("not encrypted");
  });

  test.each(LINK_LOCAL)("to %s, which is link-local, as redirect, upload and token service", async (address) => {
    const location = `https://${address}/latest/meta-data`;
    const redirects = serve(() => new Response(null, { status: 307, headers: { location } }));
    const challenge = { "www-authenticate": `Bearer realm="${location}"` };
    const asks = serve(() => new Response(null, { status: 401, headers: challenge }));
    const uploads = serve(({ method }) =>
      method === "HEAD"
        ? new Response(null, { status: 404 })
        : new Response(null, { status: 202, headers: { location } }),
    );
    const runs: [host: string, run: () => Promise<unknown>][] = [
      [redirects, () => repositoryAt(redirects).manifest("v1")],
      [redirects, () => repositoryAt(redirects, { registryAuth: AUTH }).blob(DESCRIPTOR)],
      [asks, () => repositoryAt(asks, { registryAuth: AUTH }).manifest("v1")],
      [uploads, () => repositoryAt(uploads).putBlob(BLOB)],
    ];
    for (const [host, run] of runs) {
      const error = await failureOfAsync(run);
      expect(error.code).toBe("REGISTRY_FAILED");
      expect(error.message).toContain("a link-local address");
      expect(error.message).toContain(`talk to the registry ${host}: `);
    }
  });

  // As getaddrinfo(3) writes them.
  test.each([
    "fe80::1",
    "fe80::1%eth0",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
  ])("to a name that has %s among its addresses", async (address) => {
    const host = serve(() => new Response(null, { status: 307, headers: { location: "https://metadata.example/" } }));
    const asked: string[] = [];
    const resolve = async (name: string) => {
      asked.push(name);
      return ["192.0.2.1", "2001:db8::1", address];
    };
    const transport = openTransport({ signal: new AbortController().signal, authorities: null, resolve });
    const exchange = { method: "GET", url: new URL(`http://${host}/`), bytesMax: 100 } as const;
    const error = await failureOfAsync(() => transport.send(exchange));
    expect(error.message).toContain("https://metadata.example, a link-local address");
    expect(asked).toEqual(["metadata.example"]);
  });

  test("to an address with a user name in it, which fetch would send as a login", async () => {
    const seen: (string | null)[] = [];
    const elsewhere = serve((request) => {
      seen.push(request.headers.get("authorization"));
      return new Response(BLOB);
    });
    const host = serve(
      () => new Response(null, { status: 307, headers: { location: `http://me:pass@${elsewhere}/` } }),
    );
    const error = await failureOfAsync(() => repositoryAt(host).blob(DESCRIPTOR));
    expect(error.message).toContain(`http://${elsewhere} with a user name or password in it`);
    expect(JSON.stringify([error.message, error.details])).not.toContain("me:pass");
    expect(seen).toEqual([]);
  });

  test("an error of the place that it leads to names that place", async () => {
    const answers: Record<string, () => Response> = {
      "/round": () => new Response(null, { status: 307, headers: { location: "/round" } }),
      "/plain": () => new Response(null, { status: 307, headers: { location: "http://example.com/" } }),
      "/nowhere": () => new Response(null, { status: 307, headers: { location: "http://[" } }),
    };
    const second = serve((request) => answers[new URL(request.url).pathname]?.() ?? new Response(null));
    for (const [to, named] of [
      ...Object.keys(answers).map((path): [string, string] => [`http://${second}${path}`, second]),
      ["http://127.0.0.1:1/", "127.0.0.1:1"] as const,
    ]) {
      const host = serve(() => new Response(null, { status: 307, headers: { location: to } }));
      const error = await failureOfAsync(() => repositoryAt(host).manifest("v1"));
      expect(error.message).toContain(`talk to ${named} (to which the registry ${host} redirects): `);
      expect(error.details.host).toBe(named);
    }
  });

  test("to nowhere", async () => {
    const host = serve(() => new Response(null, { status: 302, headers: { location: "http://[" } }));
    expect((await failureOfAsync(() => repositoryAt(host).manifest("v1"))).message).toContain("an invalid address");
    const none = serve(() => new Response(null, { status: 302 }));
    expect((await failureOfAsync(() => repositoryAt(none).manifest("v1"))).message).toContain("status 302");
  });

  test("elsewhere: credentials are not sent there, even if that server asks for them", async () => {
    const seen: { at: string; authorization: string | null }[] = [];
    const note = (at: string, request: Request) =>
      void seen.push({ at, authorization: request.headers.get("authorization") });
    const elsewhere = serve((request) => {
      note("elsewhere", request);
      if (new URL(request.url).pathname === "/asks") {
        return new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="give me"' } });
      }
      return new Response(BLOB);
    });
    let target = "/blob";
    const host = serve((request) => {
      note("registry", request);
      if (request.headers.get("authorization") === null) {
        return new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
      }
      return new Response(null, { status: 307, headers: { location: `http://${elsewhere}${target}` } });
    });
    const repository = repositoryAt(host, { registryAuth: AUTH });
    expect(new TextDecoder().decode(await repository.blob(DESCRIPTOR))).toBe("content");
    target = "/asks";
    const error = await failureOfAsync(() => repository.blob(DESCRIPTOR));
    // Not REGISTRY_DENIED: the credentials were never shown to whom that place belongs.
    expect(error.code).toBe("REGISTRY_FAILED");
    expect(error.message).toContain(`${elsewhere} (to which the registry ${host} redirects) answered with status 401`);
    const given = seen.filter(({ at, authorization }) => at === "registry" && authorization === `Basic ${AUTH}`);
    expect(given.length).toBe(2);
    expect(seen.filter(({ at }) => at === "elsewhere")).toEqual([
      { at: "elsewhere", authorization: null },
      { at: "elsewhere", authorization: null },
    ]);
  });

  test("an upload is not sent to where it is not encrypted", async () => {
    const host = serve((request) => {
      if (request.method === "HEAD") return new Response(null, { status: 404 });
      return new Response(null, { status: 202, headers: { location: "http://example.com/upload" } });
    });
    const error = await failureOfAsync(() => repositoryAt(host).putBlob(BLOB));
    expect(error.message).toContain("http://example.com, which is not encrypted");
  });

  test("an upload to another place takes no credentials along", async () => {
    const seen: (string | null)[] = [];
    const elsewhere = serve((request) => {
      seen.push(request.headers.get("authorization"));
      return new Response(null, { status: 201 });
    });
    const host = serve((request) => {
      if (request.headers.get("authorization") === null) {
        return new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
      }
      if (request.method === "HEAD") return new Response(null, { status: 404 });
      return new Response(null, { status: 202, headers: { location: `http://${elsewhere}/upload?state=a%2Fb` } });
    });
    await repositoryAt(host, { registryAuth: AUTH }).putBlob(BLOB);
    expect(seen).toEqual([null]);
  });
});

describe("logins", () => {
  const asking = (challenge: string) =>
    serve(() => new Response(null, { status: 401, headers: { "www-authenticate": challenge } }));

  test.each(['Bearer realm="http://example.com/token"', 'Bearer realm="ftp://x"', "Bearer", 'Bearer realm=""'])(
    "%s: the password goes nowhere",
    async (challenge) => {
      const error = await failureOfAsync(() => repositoryAt(asking(challenge), { registryAuth: AUTH }).manifest("v1"));
      expect(error.code).toBe("REGISTRY_FAILED");
      expect(error.message).toMatch(
        /(directs token requests to .*not encrypted|a token service with an invalid address)/,
      );
    },
  );

  test("a kind that nobody knows", async () => {
    const error = await failureOfAsync(() => repositoryAt(asking("Negotiate"), { registryAuth: AUTH }).manifest("v1"));
    expect(error.message).toContain("an authentication scheme that bpfman does not know");
  });

  /** A registry whose token service, at `realm`, answers `answer`; requests to it are collected. */
  function withTokenService(answer: (path: string) => Response) {
    const seen: string[] = [];
    const realm = serve(async (request) => {
      seen.push(`${request.headers.get("authorization")} ${await request.text()}`);
      return answer(new URL(request.url).pathname);
    });
    return { realm, seen, host: asking(`Bearer realm="http://${realm}/token",service="s"`) };
  }

  /** Files of docker's, with an identity token for a host. */
  function identityAt(host: string) {
    const directory = mkdtempSync(join(tmpdir(), "bpfman-identity-"));
    directories.push(directory);
    const entry = { auth: btoa("<token>:"), identitytoken: REFRESH };
    writeFileSync(join(directory, "config.json"), JSON.stringify({ auths: { [host]: entry } }));
    const { signal } = new AbortController();
    const options = { signal, registryAuth: null, caFile: null, env: { DOCKER_CONFIG: directory } };
    return openRepository(parseReference(`${host}/test/image:v1`), options);
  }
  const REFRESH = "refresh-7f3a91";
  const directories: string[] = [];
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
  });

  test.each([301, 302, 303, 307, 308])(
    "a token service that redirects with %d gets no secret to another host",
    async (status) => {
      const heard: string[] = [];
      const elsewhere = serve(async (request) => {
        heard.push(`${JSON.stringify([...request.headers])} ${request.url} ${await request.text()}`);
        return Response.json({ token: "t" });
      });
      const location = `http://${elsewhere}/token`;
      const { realm, seen, host } = withTokenService(
        () => new Response(null, { status, headers: { location, "set-cookie": "session=secret" } }),
      );
      const identity = await failureOfAsync(() => identityAt(host).manifest("v1"));
      expect(identity.code).toBe("REGISTRY_FAILED");
      expect(identity.message).toContain(`the token service ${realm}`);
      expect(identity.details.host).toBe(realm);
      expect(seen.at(-1)).toContain(REFRESH);
      // The body is what must not go on.
      expect(heard).toEqual([]);
      // Basic credentials stand in a header, which is left out.
      await failureOfAsync(() => repositoryAt(host, { registryAuth: AUTH }).manifest("v1"));
      expect(seen.at(-1)).toContain(AUTH);
      expect(heard.length).toBeGreaterThan(0);
      for (const text of heard) {
        for (const secret of [AUTH, REFRESH, "authorization", "cookie", "session"]) expect(text).not.toContain(secret);
      }
    },
  );

  test("a redirect of a token service to itself keeps the refresh token", async () => {
    const { realm, seen, host } = withTokenService((path) =>
      path === "/token"
        ? new Response(null, { status: 307, headers: { location: "/other" } })
        : Response.json({ token: "t" }),
    );
    await failureOfAsync(() => identityAt(host).manifest("v1"));
    expect(realm).not.toBe(host);
    expect(seen.length).toBeGreaterThan(1);
    for (const text of seen) expect(text).toContain(REFRESH);
  });

  test("a token service that refuses or cannot be reached is named", async () => {
    const { realm, host } = withTokenService(() => new Response(null, { status: 401 }));
    const error = await failureOfAsync(() => repositoryAt(host, { registryAuth: AUTH }).manifest("v1"));
    expect(error.code).toBe("REGISTRY_DENIED");
    expect(error.message).toContain(`its token service ${realm} rejects the credentials`);
    const gone = asking('Bearer realm="http://127.0.0.1:1/token"');
    const unreachable = await failureOfAsync(() => repositoryAt(gone).manifest("v1"));
    expect(unreachable.code).toBe("REGISTRY_UNREACHABLE");
    expect(unreachable.message).toContain("talk to the token service 127.0.0.1:1: ");
    expect(unreachable.details.host).toBe("127.0.0.1:1");
  });

  const tokens: [what: string, answer: () => Response][] = [
    ["not JSON", () => new Response("token")],
    ["no token", () => Response.json({ token: "", access_token: 5 })],
    ["one with a line feed", () => Response.json({ token: "a\r\nX-Evil: 1" })],
    ["one of a megabyte", () => Response.json({ token: "a".repeat(1024 * 1024) })],
    ["without end", () => new Response(endless())],
    ["status 204", () => new Response(null, { status: 204 })],
  ];
  test.each(tokens)("a token service that answers with %s", async (_what, answer) => {
    const realm = serve(answer);
    const error = await failureOfAsync(() => repositoryAt(asking(`Bearer realm="http://${realm}/"`)).manifest("v1"));
    expect(error.code).toBe("REGISTRY_FAILED");
  });

  test("a registry that never accepts a token is asked a limited number of times", async () => {
    let asked = 0;
    const realm = serve(() => Response.json({ access_token: "token" }));
    const host = serve(() => {
      asked++;
      return new Response(null, { status: 401, headers: { "www-authenticate": `Bearer realm="http://${realm}/"` } });
    });
    expect((await failureOfAsync(() => repositoryAt(host).manifest("v1"))).code).toBe("REGISTRY_DENIED");
    expect(asked).toBe(3);
  });

  test("what it says in an error is shown in part and on one line by whoever shows it, never the login", async () => {
    const body = { errors: [{ code: "DENIED", message: `you sent Basic ${AUTH}`.slice(0, 9) + "x".repeat(10_000) }] };
    const host = serve(() => Response.json(body, { status: 400 }));
    const error = await failureOfAsync(() => repositoryAt(host, { registryAuth: AUTH }).manifest("v1"));
    expect(error.message.length).toBeLessThan(500);
    expect(error.message).not.toContain(AUTH);
  });
});

describe("time", () => {
  const NEVER = new AbortController().signal;
  const exchange = (host: string) => ({ method: "GET", url: new URL(`http://${host}/`), bytesMax: 1e9 }) as const;

  test("silence before the answer, and in the middle of it", async () => {
    const silent = serveRaw(() => {});
    const stops = serveRaw((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"));
    for (const host of [silent, stops]) {
      const transport = openTransport({ signal: NEVER, authorities: null, idleTimeoutMs: 100 });
      const error = await failureOfAsync(() => transport.send(exchange(host)));
      expect(error.code).toBe("REGISTRY_UNREACHABLE");
      expect(error.message).toContain("did not answer in time");
    }
  });

  test("a body that arrives drop by drop without end", async () => {
    const host = serveRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      const drip = setInterval(() => (socket.readyState > 0 ? socket.write("a") : clearInterval(drip)), 20);
    });
    const transport = openTransport({ signal: NEVER, authorities: null, idleTimeoutMs: 10_000, totalTimeoutMs: 300 });
    expect((await failureOfAsync(() => transport.send(exchange(host)))).message).toContain("did not answer in time");
  });

  test("a registry that is overloaded is asked again, as it wishes", async () => {
    let asked = 0;
    const host = serve(() => {
      asked++;
      if (asked === 1) return new Response(null, { status: 503 });
      if (asked === 2) return new Response(null, { status: 429, headers: { "retry-after": "0" } });
      return new Response(MANIFEST);
    });
    const transport = openTransport({ signal: NEVER, authorities: null });
    expect((await transport.send(exchange(host))).status).toBe(200);
    expect(asked).toBe(3);
  });

  test("one that wants an hour is not waited for", async () => {
    let asked = 0;
    const host = serve(() => {
      asked++;
      return new Response(null, { status: 429, headers: { "retry-after": "3600" } });
    });
    const transport = openTransport({ signal: NEVER, authorities: null });
    expect((await transport.send(exchange(host))).status).toBe(429);
    expect(asked).toBe(1);
  });

  test("an interruption ends it at once: waiting, reading, and between two attempts", async () => {
    const silent = serveRaw(() => {});
    const drips = serve(() => new Response(endless()));
    const busy = serve(() => new Response(null, { status: 503, headers: { "retry-after": "20" } }));
    for (const host of [silent, drips, busy]) {
      const interrupt = new AbortController();
      const transport = openTransport({ signal: interrupt.signal, authorities: null });
      setTimeout(() => interrupt.abort(), 100);
      expect((await failureOfAsync(() => transport.send(exchange(host)))).code).toBe("CANCELLED");
    }
  });
});
