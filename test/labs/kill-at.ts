/** A tracer that kills a command before a system call (test/fixtures/kill_at.c): strace can, but makes the command slow. */
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { sh } from "./kernel-lab.ts";

const SOURCE = resolve(import.meta.dir, "../fixtures/kill_at.c");
const BUILT = resolve(import.meta.dir, `../../dist/test/kill_at-${process.arch}`);

/** Of each system call, as the C library's headers have it. */
const numbers = new Map<string, number>();

function numberOf(call: string): number {
  const known = numbers.get(call);
  if (known !== undefined) return known;
  const stdin = Buffer.from(`#include <sys/syscall.h>\nSYS_${call}\n`);
  const printed = Bun.spawnSync(["gcc", "-E", "-P", "-x", "c", "-"], { stdin }).stdout.toString();
  const number = Number(printed.trim().split("\n").at(-1));
  if (!Number.isInteger(number)) throw new Error(`no system call "${call}"`);
  numbers.set(call, number);
  return number;
}

function tracer(): string {
  if (existsSync(BUILT) && statSync(BUILT).mtimeMs > statSync(SOURCE).mtimeMs) return BUILT;
  mkdirSync(resolve(BUILT, ".."), { recursive: true });
  sh("gcc", "-O1", "-o", `${BUILT}.${process.pid}`, SOURCE);
  renameSync(`${BUILT}.${process.pid}`, BUILT);
  return BUILT;
}

/**
 * What to put in front of a command, so that it is killed before the `number`th call of that name in one of its threads, counted
 * from 1. It ends as the command does; the file has a line then.
 */
export const killAt = (file: string, call: string, number: number): string[] => [
  ...[tracer(), file, String(numberOf(call)), String(number)],
];
