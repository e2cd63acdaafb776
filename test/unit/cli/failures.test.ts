import { describe, expect, test } from "bun:test";
import { ERROR_CODES, type ErrorCode, type ErrorKind } from "../../../src/errors/codes.ts";
import { BpfmanError, type ErrorParts } from "../../../src/errors/error.ts";
import { cli, type CliWorld } from "../../fakes/cli-host.ts";

const failing = (code: ErrorCode, message: string, parts: ErrorParts = {}): CliWorld => ({
  answer() {
    throw new BpfmanError(code, message, parts);
  },
});

describe("exit codes", () => {
  const byKind: Readonly<Record<ErrorKind, number>> = {
    invalid: 1,
    "not-found": 3,
    permission: 4,
    conflict: 5,
    precondition: 5,
    unsupported: 1,
    unavailable: 1,
    internal: 1,
    cancelled: 130,
  };
  const cases = (Object.keys(ERROR_CODES) as ErrorCode[]).map((code): [ErrorCode, number] => {
    const own = code === "USAGE" || code === "INVALID_REQUEST" ? 2 : byKind[ERROR_CODES[code].kind];
    return [code, own];
  });
  test.each(cases)("%s", async (code, exit) => {
    expect((await cli("get program 1", failing(code, "no"))).code).toBe(exit);
  });
});

test("message, hint, then the verifier's whole log", async () => {
  const run = await cli(
    "get program 1",
    failing("VERIFIER_REJECTED", 'verifier refused "f"', {
      hint: "look",
      verifierLog: "0: (b7) r0 = 0\n1:\t(95) exit\n\n",
    }),
  );
  expect(run.out).toBe("");
  expect(run.err).toBe('error: verifier refused "f"\nhint: look\n\n0: (b7) r0 = 0\n1:\t(95) exit\n');
});

test("the line of source of a refusal comes first, the column marked below it", async () => {
  const place = {
    instruction: 7,
    function: "f",
    file: "a.bpf.c",
    line: 27,
    column: 15,
    text: "\treturn\t(int)*value;",
  };
  const bare = { instruction: 3, function: "g", file: null, line: null, column: null, text: null };
  const run = (source: unknown, acquired?: unknown) =>
    cli("get program 1", failing("VERIFIER_REJECTED", "no", { hint: "look", details: { source, acquired } }));
  expect((await run(place)).err).toBe(
    "error: no\n  at a.bpf.c:27:15 (function f, instruction 7)\n" +
      "  27 | return (int)*value;\n     |              ^\nhint: look\n",
  );
  expect((await run({ ...place, column: null }, bare)).err).toBe(
    "error: no\n  at a.bpf.c:27 (function f, instruction 7)\n  27 | return (int)*value;\n" +
      "  reference taken at function g, instruction 3 (compile with clang -g to see the line of source)\nhint: look\n",
  );
  expect((await run({ ...place, file: "\x1b[2J", text: "\x1b[2J" })).err).not.toContain("\x1b");
  expect((await run(null)).err).toBe("error: no\nhint: look\n");
});

test("the hint of the code stands in", async () => {
  const run = await cli("get program 1", failing("PROGRAM_NOT_FOUND", "program 1 does not exist"));
  expect(run.err).toBe('error: program 1 does not exist\nhint: see "bpfman list programs"\n');
});

test("missing parts have no line", async () => {
  expect((await cli("get program 1", failing("INVALID_ATTACH", "no"))).err).toBe("error: no\n");
});

test("a request that the schema rejects shows the usage", async () => {
  const run = await cli("get program 1", failing("INVALID_REQUEST", 'invalid value for "x": y'));
  expect(run.err).toBe(
    'error: invalid value for "x": y\n\nUsage: bpfman get program [OPTIONS] <PROGRAM_ID>\n\ntry "bpfman get program --help"\n',
  );
});

test("the parsers' codes are failures like others when the service throws them", async () => {
  const run = await cli("get program 1", failing("INVALID_GLOBAL", "wrong size"));
  expect(run).toMatchObject({ code: 1, err: "error: wrong size\n" });
});

describe("JSON", () => {
  test("of a failure", async () => {
    const run = await cli(
      "get program 1 -o json",
      failing("VERIFIER_REJECTED", "no", { details: { program: "f" }, verifierLog: "log" }),
    );
    expect(run.out).toBe("");
    expect(run.err).toEndWith("}\n");
    expect(JSON.parse(run.err)).toEqual({
      error: {
        code: "VERIFIER_REJECTED",
        kind: "invalid",
        message: "no",
        hint: ERROR_CODES.VERIFIER_REJECTED.hint,
        details: { program: "f" },
        verifier_log: "log",
      },
    });
  });
  test.each(["-o json lod", "lod -o json", "lod --output=json", "lod -ojson", "lod -o=json", "lod --output json"])(
    "of a wrong line: %s",
    async (line) => {
      const run = await cli(line);
      expect(run.code).toBe(2);
      expect(JSON.parse(run.err).error).toMatchObject({
        code: "USAGE",
        hint: 'did you mean "load"?',
        verifier_log: null,
      });
    },
  );
  describe("--error-format decides for both grammars, also of a line that cannot be read", () => {
    const missing = failing("PROGRAM_NOT_FOUND", "no");
    test.each<[line: string, env: NonNullable<CliWorld["env"]>, json: boolean]>([
      ["program get 1 -o json", {}, false],
      ["program get 1 --error-format json", {}, true],
      ["--error-format=json program get 1", {}, true],
      ["program get 1", { BPFMAN_ERROR_FORMAT: "json" }, true],
      ["program get 1 --error-format text", { BPFMAN_ERROR_FORMAT: "json" }, false],
      ["program lsit --error-format=json", {}, true],
      ["program lsit", { BPFMAN_ERROR_FORMAT: "json" }, true],
      ["program lsit -o json", { BPFMAN_ERROR_FORMAT: "" }, false],
      ["get program 1 -o json --error-format text", {}, false],
      ["get program 1 --error-format json", {}, true],
      ["lsit -o json --error-format=text", {}, false],
      ["lsit -o json", { BPFMAN_ERROR_FORMAT: "" }, true],
      ["lsit -o json", { BPFMAN_ERROR_FORMAT: "text" }, false],
    ])("%s with %j", async (line, env, json) => {
      const { err } = await cli(line, { ...missing, env });
      expect(err.startsWith("{")).toBe(json);
    });
  });
  test("is not requested by a word after --", async () => {
    expect((await cli("lod -- -o json")).err).toStartWith("error: ");
  });
  test("of an internal error", async () => {
    const world: CliWorld = {
      answer() {
        throw new TypeError("undefined is not a function");
      },
    };
    const { error } = JSON.parse((await cli("get program 1 -o json", world)).err);
    expect(error).toMatchObject({ code: "INTERNAL", kind: "internal" });
    expect(error.message).toMatch(/^undefined is not a function \(operation [0-9a-f-]{36}\)$/);
  });
});

describe("an internal error", () => {
  const world: CliWorld = {
    answer() {
      throw new TypeError("undefined is not\na function");
    },
  };
  const LINE =
    /^bpfman: internal error: undefined is not\\na function \(operation ([0-9a-f-]{36})\); please report it, with the command and --log-level debug\n/;

  test("is one line, which names the run", async () => {
    const run = await cli("get program 1", world);
    expect(run.code).toBe(1);
    expect(run.err.match(LINE)?.[0]).toBe(run.err);
    expect(run.err.match(LINE)?.[1]).toBe(run.calls[0]!.context.operationId!);
  });
  test.each(["debug", "trace"])("has its stack with --log-level %s", async (level) => {
    const run = await cli(`get program 1 --log-level ${level}`, world);
    expect(run.err).toMatch(LINE);
    expect(run.err).toContain("caused by: TypeError: undefined is not\na function\n");
    expect(run.err).toMatch(/\n {4}at .*failures\.test\.ts/);
  });
  test("that the service has wrapped looks the same", async () => {
    const run = await cli(
      "get program 1",
      failing("INTERNAL", "undefined is not\na function (operation 5d8b0d5e-0000-4000-8000-000000000000)"),
    );
    expect(run.err.match(LINE)?.[0]).toBe(run.err);
  });
  test("may also be in what an answer looks like", async () => {
    const run = await cli("get program 1", { answer: () => ({}) });
    expect(run.code).toBe(1);
    expect(run.err).toStartWith("bpfman: internal error: ");
  });
  test("may be no Error at all", async () => {
    const run = await cli("get program 1", {
      answer() {
        throw "a string";
      },
    });
    expect(run.err).toStartWith("bpfman: internal error: a string (operation ");
  });
});

test("a message from outside cannot control the terminal", async () => {
  const run = await cli("get program 1", failing("INVALID_ATTACH", "a\x1b[2J\nb", { verifierLog: "c\x1b[2J\n\x9bd" }));
  expect(run.err).toBe("error: a\\x1b[2J\\nb\n\nc\\x1b[2J\n\\x9bd\n");
  expect((await cli(["\x1b[2J"])).err).toStartWith('error: unknown command "\\x1b[2J" for "bpfman"\n');
});

test("connect may fail: once, whatever the number of ids", async () => {
  const run = await cli("unload 1 2 3", {
    refuse() {
      throw new BpfmanError("LIBBPF_MISSING", "libbpf is not there");
    },
  });
  expect(run.code).toBe(5);
  expect(run.connected).toHaveLength(1);
});

describe("several ids", () => {
  const world = (codes: Readonly<Record<number, ErrorCode>>): CliWorld => ({
    answer({ request }) {
      const { programId } = request as { programId: number };
      const code = codes[programId];
      if (code !== undefined) throw new BpfmanError(code, `program ${programId} failed`, { hint: "h" });
      return { program_id: programId, detached: [], unloaded: true };
    },
  });
  test("each failure is printed; the first gives the exit code", async () => {
    const run = await cli("unload 1 2 3 4", world({ 2: "PROGRAM_NOT_FOUND", 4: "LINK_STILL_HELD" }));
    expect(run.calls).toHaveLength(4);
    expect(run.code).toBe(3);
    expect(run.out).toBe("");
    expect(run.err).toBe("error: program 2 failed\nhint: h\nerror: program 4 failed\nhint: h\n");
  });
  test("JSON has what worked on stdout", async () => {
    const run = await cli("unload 1 2 3 -o json", world({ 2: "LINK_STILL_HELD" }));
    expect(run.code).toBe(5);
    expect(JSON.parse(run.out).unloaded.map((each: { program_id: number }) => each.program_id)).toEqual([1, 3]);
    expect(JSON.parse(run.err).error.code).toBe("LINK_STILL_HELD");
  });
  test("programs that others hold follow those", async () => {
    const held = new Set([1, 2]);
    const answer: CliWorld["answer"] = ({ request }) => {
      const { programId } = request as { programId: number };
      if (programId !== 4 && held.has(programId)) throw new BpfmanError("PROGRAM_IN_USE", `${programId} is held`);
      held.delete(programId - 2);
      return { program_id: programId, detached: [], unloaded: true, deleted: [programId] };
    };
    const run = await cli("unload 1 2 3 4", { answer });
    expect([run.code, run.err]).toEqual([0, ""]);
    expect(run.calls.map(({ request }) => (request as { programId: number }).programId)).toEqual([1, 2, 3, 4, 1, 2]);
    held.add(1).add(2);
    const without = await cli("unload 1 2 3", { answer });
    expect([without.code, without.err]).toEqual([5, "error: 2 is held\nhint: unload those first\n"]);
    held.add(2);
    const alone = await cli("program delete 2", { answer });
    expect([alone.code, alone.calls.length]).toEqual([1, 1]);
  });
  test("an interruption ends it", async () => {
    const run = await cli("unload 1 2 3", world({ 2: "CANCELLED" }));
    expect(run.calls).toHaveLength(2);
    expect(run.code).toBe(130);
  });
  test("an internal error ends it", async () => {
    const run = await cli("unload 1 2", {
      answer() {
        throw new Error("oops");
      },
    });
    expect(run.calls).toHaveLength(1);
    expect(run.code).toBe(1);
  });
});
