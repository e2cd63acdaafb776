import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Credentials } from "../../../src/image/credential.ts";
import { findCredentials } from "../../../src/image/credentials.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const base64 = (text: string) => Buffer.from(text).toString("base64");
const auth = (user: string, password = "word") => ({ auth: base64(`${user}:${password}`) });

function write(name: string, content: unknown): string {
  const path = directory.path(name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** A helper in a directory of its own, which says `answer` and writes down what it was asked. */
function helper(name: string, script: string): string {
  const path = write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return `${directory.path("bin")}:${process.env.PATH}`;
}

const env = (more: Record<string, string> = {}) => ({
  // None of the real ones.
  XDG_RUNTIME_DIR: directory.path("run"),
  HOME: directory.path("home"),
  PATH: process.env.PATH ?? "",
  ...more,
});

const find = (more: Record<string, string> = {}, wanted: Partial<Parameters<typeof findCredentials>[0]> = {}) =>
  findCredentials({ registry: "quay.io", path: "me/counter", registryAuth: null, ...wanted }, env(more));

const userOf = (known: Credentials | null) => (known !== null && "username" in known ? known.username : null);

describe("--registry-auth", () => {
  test("is split at the first colon, and comes before all files", async () => {
    write("home/.docker/config.json", { auths: { "quay.io": auth("file") } });
    const known = await find({}, { registryAuth: base64("me:pass:word:") });
    expect(known).toEqual({
      username: "me",
      password: "pass:word:",
      source: "--registry-auth or BPFMAN_REGISTRY_AUTH",
    });
    expect(await find({}, { registryAuth: `${base64("me:")}\n` })).toMatchObject({ username: "me", password: "" });
    expect(await find({}, { registryAuth: base64("ü:ß") })).toMatchObject({ username: "ü", password: "ß" });
  });

  const malformed = [
    "",
    "me:word",
    base64("no colon"),
    base64(":word"),
    "%%%",
    base64("me:word").slice(0, 5),
    "//79Og==",
  ];
  test.each(malformed)("%j is an error that does not repeat it", async (registryAuth) => {
    const error = await failureOfAsync(() => find({}, { registryAuth }));
    expect(error.code).toBe("INVALID_CREDENTIALS");
    if (registryAuth !== "") expect(JSON.stringify([error.message, error.details])).not.toContain(registryAuth);
  });
});

describe("files", () => {
  test("the first file with an entry for the registry wins", async () => {
    expect(await find()).toBeNull();
    const at = {
      docker: write("home/.docker/config.json", { auths: { "quay.io": auth("docker") } }),
      config: write("docker/config.json", { auths: { "quay.io": auth("config") } }),
      home: write("home/.config/containers/auth.json", { auths: { "quay.io": auth("home") } }),
      run: write("run/containers/auth.json", { auths: { "quay.io": auth("run") } }),
      file: write("file.json", { auths: { "quay.io": auth("file") } }),
    };
    const all = { REGISTRY_AUTH_FILE: at.file, DOCKER_CONFIG: directory.path("docker") };
    for (const [user, path] of Object.entries(at).reverse()) {
      expect(await find(all)).toEqual({ username: user, password: "word", source: `"${path}"` });
      writeFileSync(path, JSON.stringify({ auths: { "other.io": auth("other") } }));
    }
    expect(await find(all)).toBeNull();
  });

  test("the longest name that fits wins", async () => {
    const auths = {
      "quay.io": auth("host"),
      "quay.io/me": auth("part"),
      "quay.io/me/counter": auth("image"),
      "quay.io/me/count": auth("wrong"),
    };
    write("run/containers/auth.json", { auths });
    expect(userOf(await find())).toBe("image");
    expect(userOf(await find({}, { path: "me/other" }))).toBe("part");
    expect(userOf(await find({}, { path: "you/counter" }))).toBe("host");
    expect(await find({}, { registry: "quay.io:443" })).toBeNull();
  });

  test.each(["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://docker.io"])(
    "docker.io is found as %s",
    async (name) => {
      write("home/.docker/config.json", { auths: { [name]: auth("docker") } });
      const known = await find({}, { registry: "docker.io", path: "library/debian" });
      expect(userOf(known)).toBe(name === "index.docker.io" ? null : "docker");
    },
  );

  test("identity tokens are taken for what they are", async () => {
    write("run/containers/auth.json", { auths: { "quay.io": { ...auth("x"), identitytoken: "refresh" } } });
    expect(await find()).toMatchObject({ identityToken: "refresh" });
  });

  test("docker pads with NUL", async () => {
    write("run/containers/auth.json", { auths: { "quay.io": { auth: base64("me:word\0\0") } } });
    expect(await find()).toMatchObject({ username: "me", password: "word" });
  });

  const broken: [what: string, content: unknown][] = [
    ["not JSON", '{"auths": {"quay.io": {"auth": "c2VjcmV0"'],
    ["no object", ["c2VjcmV0"]],
    ["an entry without a colon", { auths: { "quay.io": { auth: base64("secret") } } }],
  ];
  test.each(broken)("%s: an error that names the file and repeats nothing", async (_what, content) => {
    const path = write("run/containers/auth.json", content);
    const error = await failureOfAsync(() => find());
    expect(error.code).toBe("INVALID_CREDENTIALS");
    expect(error.message).toContain(path);
    expect(JSON.stringify([error.message, error.hint, error.details, String(error.cause)])).not.toContain("c2VjcmV0");
  });

  test("neither a FIFO nor a directory hangs or passes", async () => {
    mkdirSync(directory.path("run/containers/auth.json"), { recursive: true });
    expect((await failureOfAsync(() => find())).code).toBe("INVALID_CREDENTIALS");
    Bun.spawnSync(["mkfifo", directory.path("fifo")]);
    const error = await failureOfAsync(() => find({ REGISTRY_AUTH_FILE: directory.path("fifo") }));
    expect(error.message).toContain("not a regular file");
  });

  test("a file that is missing, empty or partly unreadable says nothing", async () => {
    write("run/containers/auth.json", "");
    write("home/.docker/config.json", { auths: { "quay.io": 5, "other.io": null }, credHelpers: [], HttpHeaders: {} });
    expect(await find({ REGISTRY_AUTH_FILE: directory.path("missing") })).toBeNull();
  });
});

describe("credential helpers", () => {
  test("credHelpers names one for a registry, credsStore one for all others", async () => {
    const asked = directory.path("asked");
    const answer = (user: string) => `cat >>${asked}; echo '{"Username":"${user}","Secret":"word"}'`;
    helper("one", answer("one"));
    const path = helper("all", answer("all"));
    const known = { credHelpers: { "quay.io": "one" }, credsStore: "all", auths: { "quay.io": {}, "other.io": {} } };
    write("home/.docker/config.json", known);
    expect(await find({ PATH: path })).toEqual({
      username: "one",
      password: "word",
      source: '"docker-credential-one"',
    });
    expect(userOf(await find({ PATH: path }, { registry: "docker.io" }))).toBe("all");
    expect(await Bun.file(asked).text()).toBe("quay.io\nhttps://index.docker.io/v1/\n");
  });

  test("<token> is an identity token", async () => {
    const path = helper("x", `echo '{"Username":"<token>","Secret":"refresh"}'`);
    write("home/.docker/config.json", { credsStore: "x" });
    expect(await find({ PATH: path })).toEqual({ identityToken: "refresh", source: '"docker-credential-x"' });
  });

  test("one that knows nothing leaves it to the files that follow", async () => {
    const path = helper("x", "echo 'credentials not found in native keychain'; exit 1");
    write("run/containers/auth.json", { credHelpers: { "quay.io": "x" } });
    write("home/.docker/config.json", { auths: { "quay.io": auth("file") } });
    expect(userOf(await find({ PATH: path }))).toBe("file");
  });

  const failing: [script: string, reason: string][] = [
    ["echo secret; exit 3", "exit code 3"],
    ["echo secret", "lacks a user or a secret"],
    [`echo '{"Username":"me","Secret":""}'`, "lacks a user or a secret"],
    ["head -c 10000000 /dev/zero", "ended with"],
  ];
  test.each(failing)("%s: an error without what it said", async (script, reason) => {
    const path = helper("x", script);
    write("home/.docker/config.json", { credsStore: "x" });
    const error = await failureOfAsync(() => find({ PATH: path }));
    expect(error.code).toBe("INVALID_CREDENTIALS");
    expect(error.message).toContain(reason);
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain("secret;");
    expect(error.message).not.toContain("echo");
  });

  test.each(["../../bin/evil", "a b", "", 5, null])("the name %j is none", async (name) => {
    write("home/.docker/config.json", { credHelpers: { "quay.io": name } });
    const error = await failureOfAsync(() => find());
    expect(error.code).toBe("INVALID_CREDENTIALS");
  });

  test("the current directory is not searched for one", async () => {
    helper("x", `echo '{"Username":"me","Secret":"word"}'`);
    write("home/.docker/config.json", { credsStore: "x" });
    const before = process.cwd();
    process.chdir(directory.path("bin"));
    try {
      for (const PATH of ["", ".", ":/nowhere", "relative"]) {
        expect((await failureOfAsync(() => find({ PATH }))).message).toContain("no such program in PATH");
      }
    } finally {
      process.chdir(before);
    }
  });
});
