/** Where the trusted root comes from: a file, the cache, a TUF repository, the last download, the embedded copy. */
import { afterEach, beforeAll, beforeEach, expect, setSystemTime, test } from "bun:test";
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { openTrustRoot } from "../../../src/image/signature/trust-root.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { openSigstore } from "../../servers/sigstore.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";
import { startTuf, type TufServer } from "../../servers/tuf-server.ts";

const directory = temporaryDirectory();
const warnings: string[] = [];
const log = {
  error: () => {},
  warn: (message: string) => void warnings.push(message),
  info: () => {},
  debug: () => {},
};
const UPDATED = "could not update the trusted root; using the one fetched last";
const EMBEDDED = "could not fetch the trusted root; using the built-in one";

let one: string;
let two: string;
beforeAll(async () => {
  [one, two] = [
    (await openSigstore("http://one.test")).trustedRoot,
    (await openSigstore("http://two.test")).trustedRoot,
  ];
});

let tuf: TufServer;
beforeEach(() => {
  warnings.length = 0;
  tuf = startTuf(one);
  writeFileSync(directory.path("root.json"), tuf.root);
});
afterEach(async () => {
  setSystemTime();
  await tuf.close();
});
const twoDaysLater = () => setSystemTime(new Date(Date.now() + 2 * 24 * 3_600_000));

const cacheDirectory = () => directory.path("cache/sigstore");
/** The log's address and the origin of the root. */
async function open(signal = new AbortController().signal) {
  const mirror = { url: tuf.url, root: directory.path("root.json") };
  const { material, origin } = await openTrustRoot(
    { file: null, cacheDirectory: cacheDirectory(), mirror },
    { signal, log },
  );
  return [material.tlogs[0]?.baseURL, origin];
}
const repository = () => `${cacheDirectory()}/${readdirSync(cacheDirectory())[0]}`;
const fromFile = (text: string | null) => {
  const file = directory.path("trusted_root.json");
  if (text !== null) writeFileSync(file, text);
  return openTrustRoot({ file, cacheDirectory: cacheDirectory() }, { signal: new AbortController().signal, log });
};

test.skipIf(process.geteuid?.() !== 0)("what lies in another user's directory is trusted by nobody", async () => {
  await open();
  for (const path of [directory.path("cache"), cacheDirectory()]) {
    chownSync(path, 1234, 1234);
    const error = await failureOfAsync(open);
    expect([error.code, error.details.path]).toEqual(["STATE_CONFLICT", path]);
    chownSync(path, 0, 0);
  }
});

test("a file is all that counts when it is configured, and nothing is fetched", async () => {
  const { material, origin } = await fromFile(two);
  expect([material.tlogs[0]?.baseURL, origin]).toEqual(["http://two.test", "file"]);
  expect(existsSync(cacheDirectory())).toBe(false);
});

test("a file that is missing or no trusted root is an error, not a reason to take another", async () => {
  const path = directory.path("trusted_root.json");
  const wrong = ["", "{}", "[]", "null", '{"certificateAuthorities":[{}]}', one.replace("rawBytes", "bytes")];
  for (const text of [null, ...wrong]) {
    const error = await failureOfAsync(() => fromFile(text));
    expect([text, error.code]).toEqual([text, "TRUST_ROOT_UNAVAILABLE"]);
    expect(error.message).toStartWith(`read trusted root "${path}": `);
    expect(error.details).toEqual({ path });
  }
});

test("it is fetched once, and then taken from the cache until its metadata expires", async () => {
  expect(await open()).toEqual(["http://one.test", "current"]);
  expect(tuf.asked).toContain("/targets/trusted_root.json");
  tuf.asked.length = 0;
  tuf.publish(two);
  expect(await open()).toEqual(["http://one.test", "current"]);
  expect([tuf.asked, warnings]).toEqual([[], []]);
});

test("metadata that has expired is fetched anew", async () => {
  expect(await open()).toEqual(["http://one.test", "current"]);
  twoDaysLater();
  tuf.publish(two);
  expect(await open()).toEqual(["http://two.test", "current"]);
  expect(warnings).toEqual([]);
});

test("what was fetched last is used with a warning when the server is gone", async () => {
  await open();
  await tuf.close();
  twoDaysLater();
  expect(await open()).toEqual(["http://one.test", "outdated"]);
  expect(warnings).toEqual([UPDATED]);
});

test("a cache that is damaged is made anew", async () => {
  for (const name of ["root.json", "timestamp.json", "targets/trusted_root.json"]) {
    await open();
    writeFileSync(`${repository()}/${name}`, "{");
    expect(await open()).toEqual(["http://one.test", "current"]);
    expect(readFileSync(`${repository()}/${name}`, "utf8").length).toBeGreaterThan(1);
  }
  expect(warnings).toEqual([]);
});

test("the embedded root is used with a warning when none could ever be fetched", async () => {
  await tuf.close();
  const [log, origin] = await open();
  expect([log, origin]).toEqual(["https://rekor.sigstore.dev", "embedded"]);
  expect(warnings).toEqual([EMBEDDED]);
});

test("a root that somebody else signed is not taken", async () => {
  const other = startTuf(two);
  try {
    writeFileSync(directory.path("root.json"), other.root);
    expect((await open())[1]).toBe("embedded");
    expect(warnings).toEqual([EMBEDDED]);
  } finally {
    await other.close();
  }
});

test("where the cache cannot be written, the root is fetched all the same and kept nowhere", async () => {
  writeFileSync(directory.path("cache"), "no directory");
  expect(await open()).toEqual(["http://one.test", "current"]);
  expect(warnings).toEqual([]);
});

test("an interrupt ends the wait for a server that says nothing", async () => {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Promise<Response>(() => {}) });
  try {
    const interrupted = new AbortController();
    const mirror = { url: `http://127.0.0.1:${server.port}`, root: directory.path("root.json") };
    const opening = failureOfAsync(() =>
      openTrustRoot({ file: null, cacheDirectory: cacheDirectory(), mirror }, { signal: interrupted.signal, log }),
    );
    setTimeout(() => interrupted.abort(), 50);
    expect((await opening).code).toBe("CANCELLED");
  } finally {
    await server.stop(true);
  }
});
