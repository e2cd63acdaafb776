/** Registries that mean harm, or are broken: refused within bounds of time and memory, and credentials stay at home. */
import { afterEach, describe, expect, test } from "bun:test";
import type { Socket, TCPSocketListener } from "bun";
import { LAYER_BYTES_MAX, MANIFEST_BYTES_MAX, REGISTRY_REDIRECTS_MAX } from "../../src/domain/limits.ts";
import { digestOf } from "../../src/image/digest.ts";
import { OCI_MANIFEST } from "../../src/image/manifest.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository } from "../../src/image/registry.ts";
import { openTransport } from "../../src/image/transport.ts";
import { failureOfAsync } from "../fakes/failure.ts";
import { bytesOf, jsonBytes } from "../fakes/image.ts";
import { AUTH } from "../fakes/registry.ts";

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
    expect(error.message).toContain("the connection broke off");
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

describe("redirects", () => {
  test("round and round", async () => {
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

  test("to nowhere", async () => {
    const host = serve(() => new Response(null, { status: 302, headers: { location: "http://[" } }));
    expect((await failureOfAsync(() => repositoryAt(host).manifest("v1"))).message).toContain("no address");
    const none = serve(() => new Response(null, { status: 302 }));
    expect((await failureOfAsync(() => repositoryAt(none).manifest("v1"))).message).toContain("status 302");
  });

  test("elsewhere: credentials stay, and are not given when that place asks for them", async () => {
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
    expect(error.code).toBe("REGISTRY_DENIED");
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
    const error = await failureOfAsync(() => repositoryAt(host, { registryAuth: AUTH }).putBlob(BLOB));
    expect(error.message).toContain("not encrypted");
    expect(seen).toEqual([]);
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
      expect(error.message).toContain("an address that is not encrypted");
    },
  );

  test("a kind that nobody knows", async () => {
    const error = await failureOfAsync(() => repositoryAt(asking("Negotiate"), { registryAuth: AUTH }).manifest("v1"));
    expect(error.message).toContain("a kind that is not known");
  });

  const tokens: [what: string, answer: () => Response][] = [
    ["no JSON", () => new Response("token")],
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

  test("a registry that is never content asks only so often", async () => {
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

  test("a body that never stops to drip", async () => {
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
