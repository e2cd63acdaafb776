/** A TUF repository (The Update Framework, specification 1.0) on loopback, signed with one key, with one target. */
import { createHash, generateKeyPairSync, sign } from "node:crypto";

/** Content by name. */
export type Targets = Readonly<Record<string, string>>;

export interface TufRepository {
  /** Content of the first root.json. */
  readonly root: string;
  /** Puts other targets there, under the next version; they expire after a day. */
  publish(targets: Targets): void;
  answer(request: Request): Response;
}

export interface TufServer {
  readonly url: string;
  readonly root: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Puts another trusted root there. */
  publish(target: string): void;
  close(): Promise<void>;
}

const DAY_MS = 24 * 3_600_000;
const TARGET = "trusted_root.json";

export function tufRepository(first: Targets): TufRepository {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("hex");
  const key = { keytype: "ed25519", scheme: "ed25519", keyval: { public: raw } };
  const keyid = createHash("sha256").update(canonical(key)).digest("hex");
  const files = new Map<string, string>();
  let version = 0;

  const signed = (type: string, part: object, expiresInMs = 365 * DAY_MS): string => {
    const expires = new Date(Date.now() + expiresInMs).toISOString().replace(/\.\d+Z$/, "Z");
    const body = { _type: type, spec_version: "1.0.31", version: Math.max(version, 1), expires, ...part };
    const sig = sign(null, Buffer.from(canonical(body)), privateKey).toString("hex");
    return JSON.stringify({ signatures: [{ keyid, sig }], signed: body });
  };
  const role = { keyids: [keyid], threshold: 1 };
  const roles = { root: role, timestamp: role, snapshot: role, targets: role };
  const root = signed("root", { consistent_snapshot: false, keys: { [keyid]: key }, roles });

  function publish(targets: Targets): void {
    version++;
    const described = Object.entries(targets).map(([name, content]) => {
      files.set(`/targets/${name}`, content);
      const hashes = { sha256: createHash("sha256").update(content).digest("hex") };
      return [name, { length: content.length, hashes }] as const;
    });
    files.set("/targets.json", signed("targets", { targets: Object.fromEntries(described) }));
    files.set("/snapshot.json", signed("snapshot", { meta: { "targets.json": { version } } }));
    files.set("/timestamp.json", signed("timestamp", { meta: { "snapshot.json": { version } } }, DAY_MS));
  }
  publish(first);
  function answer(request: Request): Response {
    const file = files.get(new URL(request.url).pathname);
    return file === undefined ? new Response("no such file", { status: 404 }) : new Response(file);
  }
  return { root, publish, answer };
}

export function startTuf(first: string): TufServer {
  const { root, publish, answer } = tufRepository({ [TARGET]: first });
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      asked.push(new URL(request.url).pathname);
      return answer(request);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    root,
    asked,
    publish: (target) => publish({ [TARGET]: target }),
    close: () => server.stop(true),
  };
}

/** JSON with sorted keys and no blanks, which is what is signed. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${pairs.map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`).join(",")}}`;
}
