import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { readConfig } from "../../../src/config/read-config.ts";
import { CONFIG_DEFAULT, databaseWaitMs } from "../../../src/domain/config.ts";
import { DATABASE_BUSY_TIMEOUT_MS } from "../../../src/domain/limits.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const path = () => directory.path("bpfman.toml");
function read(text: string | Uint8Array) {
  fs.writeFileSync(path(), text);
  return readConfig(path(), true);
}

test.each([0o666, 0o664, 0o602])("a file that others can write to (mode %o) is not believed", async (mode) => {
  fs.writeFileSync(directory.path("open.toml"), "");
  fs.chmodSync(directory.path("open.toml"), mode);
  const error = await failureOfAsync(() => readConfig(directory.path("open.toml"), true));
  expect([error.code, error.hint]).toEqual([
    "FILE_UNREADABLE",
    `chmod go-w "${directory.path("open.toml")}", or give another --config`,
  ]);
});

test("every setting", async () => {
  const config = await read(`
    [interfaces.eth0]
    xdp_mode = "skb"
    [interfaces."eth0.100"]
    [signing]
    allow_unsigned = false
    verify_enabled = false
    trusted_root = "/etc/bpfman/trusted_root.json"
    [[signing.trusted_identities]]
    certificate_identity = "dev@example.com"
    certificate_oidc_issuer_regexp = 'https://(?i:LOGIN)\\.example\\.com'
    [[signing.trusted_identities]]
    certificate_identity_regexp = "https://example.com/.*"
    certificate_oidc_issuer = "https://example.com"
    [[signing.trusted_keys]]
    file = "/etc/bpfman/a.pub"
    [[signing.trusted_keys]]
    file = "/etc/bpfman/b.pub"
    [dispatcher]
    alone = "chain"
    [maps]
    group = "bpf"
    mode = "640"
    [restore]
    enabled = true
    [database]
    max_retries = 3
    millisec_delay = 500
  `);
  expect(config).toEqual({
    interfaces: new Map([
      ["eth0", { xdpMode: "skb" }],
      ["eth0.100", { xdpMode: "drv" }],
    ]),
    signing: {
      allowUnsigned: false,
      verifyEnabled: false,
      trustedRoot: "/etc/bpfman/trusted_root.json",
      trustedIdentities: [
        { identity: { exact: "dev@example.com" }, issuer: { regexp: "https://(?i:LOGIN)\\.example\\.com" } },
        { identity: { regexp: "https://example.com/.*" }, issuer: { exact: "https://example.com" } },
      ],
      trustedKeys: ["/etc/bpfman/a.pub", "/etc/bpfman/b.pub"],
    },
    dispatcher: { alone: "chain" },
    maps: { group: "bpf", mode: 0o640 },
    restore: { enabled: true },
    database: { maxRetries: 3, millisecDelay: 500 },
  });
  expect(databaseWaitMs(config)).toBe(1_500);
});

test("a missing setting has its default", async () => {
  expect(await read("")).toEqual(CONFIG_DEFAULT);
  expect(await read("\ufeff# a comment\n[signing]\n")).toEqual(CONFIG_DEFAULT);
  expect(databaseWaitMs(CONFIG_DEFAULT)).toBe(DATABASE_BUSY_TIMEOUT_MS);
});

test("who may use maps: a group reads and writes them unless a mode is given, and root always does", async () => {
  expect((await read("[maps]\ngroup = 998")).maps).toEqual({ group: 998, mode: 0o660 });
  expect((await read('[maps]\nmode = "0044"')).maps).toEqual({ group: null, mode: 0o644 });
});

test.each(['mode = "666"', 'mode = "0662"', "mode = 640", 'mode = "rw"', 'mode = "10640"', "group = -1", 'group = ""'])(
  "no such [maps]: %s",
  async (line) => {
    await expect(read(`[maps]\n${line}`)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringMatching(/"maps\.(mode|group)" must be /),
    });
  },
);

test("a wait beyond what SQLite takes is cut to that", async () => {
  const config = await read("[database]\nmax_retries = 1000000000\nmillisec_delay = 1000000000");
  expect(databaseWaitMs(config)).toBe(2_147_483_647);
});

test("a file that is missing is an error only when it was asked for", async () => {
  expect(await readConfig(directory.path("missing.toml"), false)).toBe(CONFIG_DEFAULT);
  expect(await readConfig(directory.path("missing/bpfman.toml"), false)).toBe(CONFIG_DEFAULT);
  const error = await failureOfAsync(() => readConfig(directory.path("missing.toml"), true));
  expect([error.code, error.message]).toEqual([
    "FILE_NOT_FOUND",
    `read configuration "${directory.path("missing.toml")}": there is no such file`,
  ]);
});

test("a directory and a FIFO are rejected, also as the default", async () => {
  fs.mkdirSync(directory.path("directory"));
  Bun.spawnSync(["mkfifo", directory.path("fifo")]);
  for (const name of ["directory", "fifo"]) {
    const error = await failureOfAsync(() => readConfig(directory.path(name), false));
    expect([error.code, error.message]).toEqual([
      "FILE_UNREADABLE",
      `read configuration "${directory.path(name)}": it is not a regular file`,
    ]);
  }
  fs.writeFileSync(path(), "#".repeat(1024 * 1024 + 1));
  expect((await failureOfAsync(() => readConfig(path(), false))).message).toContain("more than 1048576 bytes");
});

const WRONG: readonly [text: string, line: number, column: number, says: string][] = [
  ["a b", 1, 3, "illegal character in key"],
  ["[signing]\nallow_unsigned =\n", 2, 17, "invalid value"],
  ["[signing]\nallow_unsigned=true\nallow_unsigned=true", 3, 1, "trying to redefine"],
  ["[interfaces.__proto__]", 1, 2, "unsafe property"],
  ["# x\n\n  surprise = 1", 3, 3, 'unknown key "surprise"'],
  ["[signing]\nallow_unsigne = true", 2, 1, 'unknown key "signing.allow_unsigne"'],
  ["signing.verify_enabled = 1", 1, 9, '"signing.verify_enabled" must be true or false, not 1'],
  ['signing = { allow_unsigned = "no" }', 1, 13, '"signing.allow_unsigned" must be true or false, not "no"'],
  [
    'interfaces = { eth0 = { xdp_mode = "fast" } }',
    1,
    25,
    '"interfaces.eth0.xdp_mode" must be "drv" or "skb" or "hw", not "fast"',
  ],
  ["[interfaces.eth0]\n[interfaces.eth1]\nxdp_mode = 3", 3, 1, '"interfaces.eth1.xdp_mode" must be'],
  ["[interfaces.eth0]\nmode = 3", 2, 1, 'unknown key "interfaces.eth0.mode"'],
  ["[interfaces]\neth0 = 3", 2, 1, '"interfaces.eth0" must be a table, not 3'],
  ["[interfaces]\n[interfaces.a_name_that_is_too_long]", 2, 13, "named with 1 to 15 characters"],
  ["interfaces = 3", 1, 1, '"interfaces" must be a table, not 3'],
  ["[[signing]]\nallow_unsigned = true", 1, 3, '"signing" must be a table, not an array'],
  ["[database]\nmax_retries = -1", 2, 1, '"database.max_retries" must be a whole number from 0, not -1'],
  ["[database]\nmillisec_delay = 0.5", 2, 1, '"database.millisec_delay" must be a whole number from 0, not 0.5'],
  ["[database]\nmillisec_delay = inf", 2, 1, "must be a whole number from 0, not Infinity"],
  ["[database]\nb = 1\n[signing]\na = 1", 2, 1, 'unknown key "database.b"'],
  ["[signing]\na = 1\n[database]\nb = 1", 2, 1, 'unknown key "signing.a"'],
  ['[signing]\ntrusted_root = "root.json"', 2, 1, '"signing.trusted_root" must be an absolute path'],
  ['[[signing.trusted_keys]]\nfile = "a.pub"', 2, 1, '"signing.trusted_keys.0.file" must be an absolute path'],
  ["[[signing.trusted_keys]]\n", 1, 11, '"signing.trusted_keys.0.file" is missing'],
  ['[signing]\ntrusted_keys = "a.pub"', 2, 1, '"signing.trusted_keys" must be an array of tables, not "a.pub"'],
  ['[[signing.trusted_keys]]\npath = "/a.pub"', 2, 1, 'unknown key "signing.trusted_keys.0.path"'],
  [
    '[[signing.trusted_identities]]\ncertificate_identity = "a"',
    1,
    11,
    '"signing.trusted_identities.0" must have either certificate_oidc_issuer or certificate_oidc_issuer_regexp',
  ],
  [
    '[[signing.trusted_identities]]\ncertificate_identity = "a"\ncertificate_identity_regexp = "a"',
    1,
    11,
    '"signing.trusted_identities.0" must have either certificate_identity or certificate_identity_regexp',
  ],
  [
    '[[signing.trusted_identities]]\ncertificate_oidc_issuer = "a"\ncertificate_identity_regexp = "a("',
    3,
    1,
    '"signing.trusted_identities.0.certificate_identity_regexp" must be a regular expression',
  ],
  [
    '[[signing.trusted_identities]]\ncertificate_oidc_issuer = "a"\ncertificate_identity = ""',
    3,
    1,
    '"signing.trusted_identities.0.certificate_identity" must be 1 to 2048 characters long',
  ],
];
for (const [text, line, column, says] of WRONG) {
  test(`refused at ${line}:${column}: ${JSON.stringify(text)}`, async () => {
    const error = await failureOfAsync(() => read(text));
    expect(error.code).toBe("INVALID_CONFIG");
    expect(error.message).toStartWith(`read configuration "${path()}": line ${line}, column ${column}: `);
    expect(error.message).toContain(says);
    expect(error.details).toEqual({ path: path(), line, column });
  });
}

test("a hint names the near key, or those that there are", async () => {
  expect((await failureOfAsync(() => read("[signing]\nallow_unsgned = true"))).hint).toBe(
    'did you mean "allow_unsigned"?',
  );
  expect((await failureOfAsync(() => read("[database]\nx = true"))).hint).toBe(
    "known keys here: max_retries, millisec_delay",
  );
  expect((await failureOfAsync(() => read("[interfaces.eth0]\nq = true"))).hint).toBe("known keys here: xdp_mode");
  expect((await failureOfAsync(() => read("[[signing.trusted_keys]]\nq = true"))).hint).toBe("known keys here: file");
  expect((await failureOfAsync(() => read("q = true"))).hint).toBe(
    "known keys here: interfaces, signing, dispatcher, maps, restore, database",
  );
});

test("bytes that are not UTF-8 are rejected where they stand", async () => {
  const error = await failureOfAsync(() => read(new Uint8Array([0x23, 0x0a, 0x23, 0x20, 0xff, 0x0a])));
  expect([error.code, error.message]).toEqual([
    "INVALID_CONFIG",
    `read configuration "${path()}": line 2, column 3: the file is not written in UTF-8`,
  ]);
});
