import { expect } from "bun:test";
import type { Invoke } from "../../src/service/invoke.ts";

/** Whoever only looks is told nothing of what the next change removes: rows are not lost because a command was killed. */
export async function expectNoWorries(logged: string[], invoke: Invoke, step: number): Promise<void> {
  logged.length = 0;
  await invoke("program/list", {});
  expect({ step, warnings: logged.filter((line) => line.startsWith("warn ")) }).toEqual({ step, warnings: [] });
}
