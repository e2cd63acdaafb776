import { expect, test } from "bun:test";
import { RefusedRequest, replyError, unknownMethod, wrongField } from "../../../rpc/errors.ts";
import { ERROR_NUMBERS } from "../../../rpc/protocol.ts";
import { ERROR_CODES, type ErrorCode } from "../../../src/errors/codes.ts";
import { BpfmanError } from "../../../src/errors/error.ts";

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

test("every code has the number of its kind, and brings all of its parts", () => {
  const sys = { call: "bpf", errno: 1, name: "EPERM" };
  for (const code of codes) {
    const error = new BpfmanError(code, "do it: no", { details: { id: 7 }, hint: "try", verifierLog: "log", sys });
    const wanted = code === "INVALID_REQUEST" ? -32602 : ERROR_NUMBERS[error.kind];
    const details = code === "INTERNAL" ? { operation_id: "op", id: 7 } : { id: 7 };
    expect(replyError(error, "op")).toEqual({
      code: wanted,
      message: "do it: no",
      data: { code, kind: error.kind, hint: "try", details, verifierLog: "log", sys },
    });
  }
});

test("kinds have numbers of their own, outside of those that are reserved but for the standard ones", () => {
  const numbers = Object.values(ERROR_NUMBERS);
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(numbers.filter((number) => number < -32000).sort()).toEqual([-32603, -32800]);
});

test("an internal error names its operation, without a stack", () => {
  for (const thrown of [new TypeError("x is not a function"), "odd", null]) {
    const error = replyError(thrown, "op-1");
    expect(error).toMatchObject({ code: -32603, data: { code: "INTERNAL", details: { operation_id: "op-1" } } });
    expect(error.message).toContain("(operation op-1)");
    expect(JSON.stringify(error)).not.toMatch(/\bat .*:\d+/);
  }
});

test("what the protocol rejects has a number and no data", () => {
  expect(replyError(new RefusedRequest(-32002, "not yet"), "op")).toEqual({ code: -32002, message: "not yet" });
});

test("an unknown method suggests a known one, and is not repeated at length", () => {
  expect(unknownMethod("program/lst", ["program/list", "version"]).message).toContain('did you mean "program/list"?');
  expect(unknownMethod("x".repeat(1_000_000), ["version"]).message.length).toBeLessThan(200);
});

test("a wrong field has its path, shortened when somebody made it long", () => {
  expect(wrongField("a.b", "no").details).toEqual({ field: "a.b" });
  expect(JSON.stringify(replyError(wrongField("a".repeat(1_000_000), "no"), "op")).length).toBeLessThan(2000);
});
