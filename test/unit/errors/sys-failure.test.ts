import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { SysError } from "../../../ffi/sys-error.ts";
import { errnoName, failing, reasonOf, sysFailure, sysPart } from "../../../src/errors/sys-failure.ts";
import { failureOf } from "../../expect/failure.ts";

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("nothing was thrown");
}

test("what node:fs throws and what ffi/safe throws say the same things", () => {
  const missing = thrownBy(() => readFileSync("/nonexistent/file"));
  expect(sysFailure(missing)).toEqual({ call: "open", errno: 2, name: "ENOENT" });
  expect(sysFailure(new SysError("setns", 22))).toEqual({ call: "setns", errno: 22, name: "EINVAL" });
  expect(errnoName(missing)).toBe("ENOENT");
  expect(sysPart(missing)).toEqual({ sys: { call: "open", errno: 2, name: "ENOENT" } });
});

test("other things thrown have no errno", () => {
  for (const thrown of [new Error("x"), "ENOENT", null, undefined, { errno: 2, code: "ENOENT", syscall: "open" }]) {
    expect(sysFailure(thrown)).toBeNull();
    expect(errnoName(thrown)).toBeNull();
    expect(sysPart(thrown)).toEqual({});
  }
});

test("a reason names neither the call nor its paths, which stand in the message around it", () => {
  expect(reasonOf(thrownBy(() => readFileSync("/nonexistent/file")))).toBe("ENOENT: no such file or directory");
  expect(reasonOf(thrownBy(() => readFileSync("/")))).toBe("EISDIR: illegal operation on a directory");
  for (const path of ["/dev/null", "/dev/null/x"]) {
    expect(reasonOf(thrownBy(() => mkdirSync(path, { recursive: true })))).toBe(
      "there is a file where a directory should be",
    );
  }
  expect(reasonOf(new SysError("setns", 22))).toBe("setns: Invalid argument");
  expect(reasonOf(new Error("a, b c"))).toBe("a, b c");
  expect(reasonOf("text")).toBe("text");
});

test("work on a file fails with what was to be done, and why", () => {
  const error = failureOf(() => failing("remove", "/nonexistent/file", () => readFileSync("/nonexistent/file")));
  expect([error.code, error.message]).toEqual([
    "IO_FAILED",
    'remove "/nonexistent/file": ENOENT: no such file or directory',
  ]);
  expect(error.sys?.name).toBe("ENOENT");
  expect(failureOf(() => failing("remove", "/x", () => failing("unlink", "/y", () => readFileSync("/")))).message).toBe(
    'unlink "/y": EISDIR: illegal operation on a directory',
  );
});
