import { expect, test } from "bun:test";
import type { CostAnswer } from "../../../src/domain/check-answer.ts";
import { compared, openBaseline } from "../../../src/service/check/costs.ts";

const cost = (verified_instructions: number): CostAnswer => ({
  verified_instructions,
  total_states: 0,
  peak_states: 0,
  max_states_per_instruction: 0,
  stack_bytes: null,
  verification_time_us: null,
  jited_bytes: 0,
});

test.each([
  [100, 110, 10, 10, false],
  [100, 111, 10, 11, true],
  [110, 121, 10, 10, false],
  [7, 8, 0, 14.29, true],
  [100, 50, 0, -50, false],
  [3, 3, 0, 0, false],
])("%i then and %i now, with %i %% tolerated", (then, now, tolerance, change_percent, worse) => {
  expect(compared(cost(then), cost(now), tolerance)).toEqual({ verified_instructions: then, change_percent, worse });
});

test("a program that is refused now is worse, unless it was refused then", () => {
  expect(compared(cost(5), null, 10)).toMatchObject({ change_percent: null, worse: true });
  expect(compared(null, null, 10)).toMatchObject({ change_percent: null, worse: false });
  expect(compared(null, cost(5), 10)).toMatchObject({ verified_instructions: null, worse: false });
});

test("a program is found by its file, or by that file's name if no other has it", () => {
  const program = (file: string, instructions: number) => ({ file, program: "p", cost: cost(instructions) });
  const files = [program("a/x.o", 1), program("b/x.o", 2), program("b/y.o", 3)];
  const find = openBaseline({ version: 1, kernel: "6.1", programs: files });
  expect(find("b/x.o", "p")?.cost?.verified_instructions).toBe(2);
  expect(find("c/y.o", "p")?.cost?.verified_instructions).toBe(3);
  expect(find("c/x.o", "p")).toBeNull();
  expect(find("b/y.o", "q")).toBeNull();
});
