/**
 * Configurations made of pieces of TOML in any order: each is either read or rejected with a position in the text,
 * quickly. Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_FUZZ_ROUNDS=N runs more rounds.
 */
import { expect, test } from "bun:test";
import { parseConfig } from "../../src/config/parse.ts";
import { BpfmanError } from "../../src/errors/error.ts";

const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const ROUNDS = Number(process.env.BPFMAN_FUZZ_ROUNDS ?? 4000);
const TIME_MAX_MS = 10_000;

const PIECES = [
  "[signing]\n",
  "[database]\n",
  "[interfaces.eth0]\n",
  "[[signing.trusted_keys]]\n",
  "[[signing.trusted_identities]]\n",
  'file = "/a.pub"\n',
  "certificate_identity_regexp = '(a|b)+'\n",
  'interfaces."a.b".xdp_mode = "skb"\n',
  'xdp_mode = "drv"\n',
  "allow_unsigned = true\n",
  "verify_enabled = { a = [1, { b = 2 }] }\n",
  "max_retries = 3 # three\n",
  "millisec_delay = [\n",
  "]\n",
  "{",
  "}",
  "x = '''\n",
  "'''\n",
  '"""',
  '"',
  "'",
  "\\",
  "=",
  ".",
  ",",
  "#",
  "\n",
  "\r\n",
  " ",
  "é✓",
  "\0",
  "1979-05-27T07:32:00Z\n",
  "__proto__ = 1\n",
];

/** A linear congruential generator (Numerical Recipes' constants): the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test(`any text is read, or rejected with its place (seed ${SEED})`, () => {
  const random = randomFrom(SEED);
  const refused = { count: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const text = Array.from({ length: random(12) }, () => PIECES[random(PIECES.length)]).join("");
    const start = performance.now();
    try {
      parseConfig(new TextEncoder().encode(text), "/f.toml");
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError))
        throw new Error(`seed ${SEED}, round ${round}: ${JSON.stringify(text)}`, { cause: thrown });
      refused.count++;
      const { line, column } = thrown.details as { line: number; column: number };
      const lines = text.split("\n");
      expect([thrown.code, line >= 1 && line <= lines.length, column >= 1]).toEqual(["INVALID_CONFIG", true, true]);
      expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
    }
    expect(performance.now() - start).toBeLessThan(TIME_MAX_MS);
  }
  expect(refused.count).toBeGreaterThan(ROUNDS / 4);
  expect(refused.count).toBeLessThan(ROUNDS);
}, 120_000);
