/** Patterns for names of functions, and what is said of those that match none or too many. */
import { expect, test } from "bun:test";
import { PROBED_FUNCTIONS_MAX } from "../../../src/domain/limits.ts";
import { functionsMatching, matches } from "../../../src/service/attach/pattern.ts";
import { failureOf } from "../../expect/failure.ts";

test.each([
  ["tcp_*", "tcp_", true],
  ["tcp_*", "tcp_v4_rcv", true],
  ["tcp_*", "xtcp_v4_rcv", false],
  ["*_rcv", "tcp_v4_rcv", true],
  ["*_rcv", "tcp_v4_rcv.isra.0", false],
  ["t*4*v", "tcp_v4_rcv", true],
  ["t*5*v", "tcp_v4_rcv", false],
  ["tcp_v?_rcv", "tcp_v4_rcv", true],
  ["tcp_v?_rcv", "tcp_v46_rcv", false],
  ["tcp", "tcp", true],
  ["tcp", "tcp_", false],
  ["*", "", true],
  ["?", "", false],
  ["a.b", "axb", false],
  ["[a]", "a", false],
])("%s %s: %p", (pattern, name, wanted) => expect(matches(pattern, name)).toBe(wanted));

test("many stars take no time that anybody notices", () => {
  expect(matches("*a".repeat(200), "a".repeat(199))).toBe(false);
});

const named = (count: number) => () => Array.from({ length: count }, (_, number) => ({ name: `f${number}` }));
const search = { kind: "kprobe.multi", where: "this kernel" };

test("each name counts once, up to the limit", () => {
  const twice = () => [...named(3)(), ...named(3)()];
  expect(functionsMatching(twice, { ...search, pattern: "f*" }).map(({ name }) => name)).toEqual(["f0", "f1", "f2"]);
  expect(functionsMatching(named(PROBED_FUNCTIONS_MAX), { ...search, pattern: "*" })).toHaveLength(
    PROBED_FUNCTIONS_MAX,
  );
  const many = failureOf(() => functionsMatching(named(PROBED_FUNCTIONS_MAX + 1), { ...search, pattern: "f*" }));
  expect([many.code, many.message, many.hint]).toEqual([
    "INVALID_ATTACH",
    `attach kprobe.multi: ${PROBED_FUNCTIONS_MAX + 1} functions in this kernel match "f*"`,
    `choose at most ${PROBED_FUNCTIONS_MAX}, of those such as f0, f1, f2`,
  ]);
});

test("what matches nothing is like something", () => {
  const all = () => [{ name: "tcp_v4_rcv" }, { name: "udp_rcv" }];
  const none = failureOf(() => functionsMatching(all, { ...search, pattern: "tcp_v4_rvc*" }));
  expect([none.code, none.message, none.hint]).toEqual([
    "SYMBOL_NOT_FOUND",
    'no function in this kernel matches "tcp_v4_rvc*"',
    'did you mean "tcp_v4_rcv"?',
  ]);
});
