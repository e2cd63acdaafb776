/** A failure told with more keeps all that it knows; and no errno is made up. */
import { expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";

const FAILURE = new BpfmanError("VERIFIER_REJECTED", "load program", {
  details: { program: "x", object: "o" },
  hint: "make it smaller",
  verifierLog: "R0 !read_ok",
  sys: { call: "bpf(BPF_PROG_LOAD)", errno: 13, name: "EACCES" },
});

test("with more details it keeps the code, the log, the hint, and what the system said", () => {
  const told = FAILURE.with({ details: { object: "p", left: [1] } });
  const { code, kind, message, hint, verifierLog, sys } = FAILURE;
  expect(told).toMatchObject({ code, kind, message, hint, verifierLog, sys });
  expect(told.details).toEqual({ program: "x", object: "p", left: [1] });
  expect(told.cause).toBe(FAILURE);
});

test("another message and hint replace its own", () => {
  const told = FAILURE.with({ message: 'check "/x.o": load program', hint: "read it" });
  expect([told.message, told.hint, told.details]).toEqual(['check "/x.o": load program', "read it", FAILURE.details]);
  expect(new BpfmanError("IO_FAILED", "x").with({ details: { path: "/" } }).verifierLog).toBeNull();
});

/** A number that a call gave back: a variable, or one with its sign turned. */
const FROM_A_CALL = /^(lastErrno\(\)|-?(errno|fd|result))$/;

test("every errno is one that a call gave back", async () => {
  const made: string[] = [];
  for (const file of new Bun.Glob("{src,ffi,rpc,lsp}/**/*.ts").scanSync(".")) {
    const text = await Bun.file(file).text();
    for (const [, errno = ""] of text.matchAll(/new SysError\([^,]+, ((?:[^(),]|\(\))+)[,)]/g)) {
      made.push(`${file}: ${errno}`);
      if (!FROM_A_CALL.test(errno)) throw new Error(`${file} makes up an errno: ${errno}`);
    }
    // Only ffi reports system calls; the product passes on what it said.
    if (!file.startsWith("ffi/")) {
      expect([file, /\berrno: (-?\d|ERRNO)|new SysError/.exec(text)?.[0] ?? null]).toEqual([file, null]);
    }
  }
  expect(made.length).toBeGreaterThan(10);
});
