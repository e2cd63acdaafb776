import { describe, expect, test } from "bun:test";
import type { Settings } from "../../../src/domain/settings.ts";
import { cli, type CliWorld } from "../../fakes/cli-host.ts";
import { versionAnswer } from "../../fakes/answers.ts";

const DEFAULTS: Settings = {
  runtimeDir: null,
  stateDir: null,
  cacheDir: null,
  configFile: null,
  caFile: null,
  lockTimeoutMs: 30_000,
  logLevel: "warn",
};

async function settingsOf(line: string, env: CliWorld["env"] = {}): Promise<Settings | undefined> {
  const run = await cli(line, { env, answer: () => versionAnswer });
  expect(run.err).toBe("");
  return run.connected[0];
}

test("--version is one line, for people and for scripts", async () => {
  const line = `bpfman ${versionAnswer.version} (${versionAnswer.commit})\n`;
  expect(await cli("--version", { answer: () => versionAnswer })).toMatchObject({ code: 0, out: line });
  expect((await cli("-V", { answer: () => versionAnswer })).out).toBe(line);
  expect((await cli("version", { answer: () => versionAnswer })).out).toStartWith(`${line}bun `);
});

test("defaults", async () => {
  expect(await settingsOf("version")).toEqual(DEFAULTS);
});

describe("before the command, between its words, and behind it", () => {
  const cases: [option: string, change: Partial<Settings>][] = [
    ["--runtime-dir /r", { runtimeDir: "/r" }],
    ["--runtime-dir=/r", { runtimeDir: "/r" }],
    ["--state-dir /s", { stateDir: "/s" }],
    ["--cache-dir /c", { cacheDir: "/c" }],
    ["--image-cache-dir=/c", { cacheDir: "/c" }],
    ["--error-format json", {}],
    ["--log info,manager=debug", { logLevel: "debug" }],
    ["--ca-file /ca.pem", { caFile: "/ca.pem" }],
    ["--config /c.toml", { configFile: "/c.toml" }],
    ["--lock-timeout 5s", { lockTimeoutMs: 5_000 }],
    ["--log-level trace", { logLevel: "trace" }],
    ["--no-color", {}],
    ["-o json", {}],
    ["--output json", {}],
  ];
  test.each(cases)("%s", async (option, change) => {
    const wanted = { ...DEFAULTS, ...change };
    const json = option.startsWith("-o") || option.startsWith("--output") ? "" : "-o json";
    expect(await settingsOf(`${option} get program 1 ${json}`)).toEqual(wanted);
    expect(await settingsOf(`get ${option} program 1 ${json}`)).toEqual(wanted);
    expect(await settingsOf(`get program ${option} 1 ${json}`)).toEqual(wanted);
    expect(await settingsOf(`get program 1 ${option} ${json}`)).toEqual(wanted);
  });
});

test("the environment stands in for options that are not given; empty is not given", async () => {
  const env = {
    BPFMAN_RUNTIME_DIR: "/r",
    BPFMAN_STATE_DIR: "/s",
    BPFMAN_CONFIG: "/c",
    BPFMAN_LOG: "debug",
    BPFMAN_LOCK_TIMEOUT: "1m",
  };
  const fromEnv: Settings = {
    ...DEFAULTS,
    runtimeDir: "/r",
    stateDir: "/s",
    configFile: "/c",
    logLevel: "debug",
    lockTimeoutMs: 60_000,
  };
  expect(await settingsOf("version", env)).toEqual(fromEnv);
  expect(await settingsOf("version --runtime-dir /mine --log-level off", env)).toEqual({
    ...fromEnv,
    runtimeDir: "/mine",
    logLevel: "off",
  });
  expect(await settingsOf("version", { BPFMAN_RUNTIME_DIR: "", BPFMAN_LOG: "" })).toEqual(DEFAULTS);
});

test.each([
  ["BPFMAN_LOG", "info,bpfman=loud", 'invalid log level in BPFMAN_LOG "loud": must be one of off, '],
  ["BPFMAN_LOCK_TIMEOUT", "soon", 'invalid duration in BPFMAN_LOCK_TIMEOUT "soon": must be '],
  ["BPFMAN_ERROR_FORMAT", "xml", 'invalid error format in BPFMAN_ERROR_FORMAT "xml": must be one of text, json'],
])("a wrong environment variable is a wrong command line: %s", async (name, value, message) => {
  const run = await cli("version", { env: { [name]: value } });
  expect(run.code).toBe(2);
  expect(run.err).toStartWith(`error: ${message}`);
});

describe("log levels, as newer bpfman writes them too", () => {
  test.each([
    ["debug", "debug"],
    ["DEBUG", "debug"],
    ["warning", "warn"],
    ["err", "error"],
    ["info,manager=debug", "debug"],
    [" info , store = trace ,", "trace"],
    ["debug,store=error", "debug"],
    ["manager=debug", "debug"],
    ["manager=error", "warn"],
    ["off", "off"],
    [",", "warn"],
  ] as const)("%p is %s", async (spec, logLevel) => {
    const wanted = { ...DEFAULTS, logLevel };
    for (const line of [
      ["version", "--log", spec],
      ["--log-level", spec, "version"],
      ["version", `--log=${spec}`],
    ]) {
      expect((await cli(line, { answer: () => versionAnswer })).connected[0]).toEqual(wanted);
    }
    expect(await settingsOf("version", { BPFMAN_LOG: spec })).toEqual(wanted);
  });
  test("one name for both", async () => {
    expect((await cli("version --log info --log-level debug")).err).toStartWith(
      'error: "--log-level <LEVEL>" cannot be used multiple times\n',
    );
  });
});

describe("durations", () => {
  const cases: [text: string, ms: number][] = [
    ["0", 0],
    ["0s", 0],
    ["30", 30_000],
    ["500ms", 500],
    ["1.5s", 1_500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["0.01ms", 1],
    ["1m30s", 90_000],
    ["1h0.5m", 3_630_000],
    ["5µs", 1],
  ];
  test.each(cases)("%s", async (text, ms) => {
    expect((await settingsOf(`version --lock-timeout ${text}`))?.lockTimeoutMs).toBe(ms);
  });
  test.each(["", "s", "1d", "1 s", "1e3", "Infinity", ".5s", "99999999999999h", "1s 2s", "30s5", "1.2.3"])(
    "%p is none",
    async (text) => {
      expect((await cli(["version", `--lock-timeout=${text}`])).code).toBe(2);
    },
  );
});

test("what an operation is told", async () => {
  const abort = new AbortController();
  const run = await cli("version --lock-timeout 1ms", { signal: abort.signal, answer: () => versionAnswer });
  const context = run.calls[0]?.context;
  expect(context?.signal).toBe(abort.signal);
  expect(context?.lockTimeoutMs).toBe(1);
  expect(context?.operationId).toMatch(/^[0-9a-f-]{36}$/);
});

test("progress is shown on a terminal only", async () => {
  const answer: CliWorld["answer"] = (call) => {
    call.context.progress?.("reading");
    return versionAnswer;
  };
  expect((await cli("version", { answer, terminal: true })).err).toBe("\r\x1b[Kreading\r\x1b[K");
  expect((await cli("version", { answer })).err).toBe("");
});

test("what a program prints that was run is shown on a pipe too, below the progress, and steers no terminal", async () => {
  const answer: CliWorld["answer"] = (call) => {
    call.context.progress?.("building");
    call.context.relay?.("step\x1b[2J 1");
    call.context.progress?.("pushing");
    return { published: "a@sha256:0" };
  };
  const line = "image build -t a -b x.o";
  expect((await cli(line, { answer })).err).toBe("step\\x1b[2J 1\n");
  const shown = "\r\x1b[Kbuilding\r\x1b[Kstep\\x1b[2J 1\n\r\x1b[Kpushing\r\x1b[K";
  expect((await cli(line, { answer, terminal: true })).err).toBe(shown);
});

test("under a probe -o is the offset; before the command it is the output format", async () => {
  const run = await cli("-o json attach 5 kprobe -f f -o 8", { answer: () => ({ fine: true }) });
  expect(run.out).toBe('{\n  "fine": true\n}\n');
  expect(run.calls[0]?.request).toMatchObject({ attach: { offset: 8 } });
  const long = await cli("attach 5 uprobe -t t -o 8 --output json", { answer: () => ({ fine: true }) });
  expect(long.out).toBe(run.out);
});

describe("colours", () => {
  const BOLD_GREEN = "\x1b[1;32m";
  const list = (line: string, world: CliWorld = {}) => cli(line, { answer: () => ({ programs: [] }), ...world });
  test("on a terminal", async () => {
    expect((await list("list programs", { terminal: true })).out).toContain(`${BOLD_GREEN}Program ID`);
  });
  const without: [why: string, line: string, world: CliWorld][] = [
    ["into a file", "list programs", {}],
    ["--no-color", "list programs --no-color", { terminal: true }],
    ["NO_COLOR", "list programs", { terminal: true, env: { NO_COLOR: "1" } }],
    ["a dumb terminal", "list programs", { terminal: true, env: { TERM: "dumb" } }],
    ["JSON", "list programs -o json", { terminal: true }],
  ];
  test.each(without)("none: %s", async (_, line, world) => {
    expect((await list(line, world)).out).not.toContain("\x1b");
  });
  test("an empty NO_COLOR is none", async () => {
    expect((await list("list programs", { terminal: true, env: { NO_COLOR: "" } })).out).toContain(BOLD_GREEN);
  });
});
