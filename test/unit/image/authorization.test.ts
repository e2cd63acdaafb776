import { expect, test } from "bun:test";
import { parseChallenges } from "../../../src/image/authorization.ts";

const cases: [header: string, found: [scheme: string, parameters: Record<string, string>][]][] = [
  ['Basic realm="a"', [["basic", { realm: "a" }]]],
  [
    'Bearer realm="https://a/b?c=d",service="x y",scope="repository:a/b:pull,push"',
    [["bearer", { realm: "https://a/b?c=d", service: "x y", scope: "repository:a/b:pull,push" }]],
  ],
  ['BEARER Realm = "a" , service=b', [["bearer", { realm: "a", service: "b" }]]],
  [
    'Basic realm="a", Bearer realm="b",service="c"',
    [
      ["basic", { realm: "a" }],
      ["bearer", { realm: "b", service: "c" }],
    ],
  ],
  [
    "Negotiate, Basic realm=a",
    [
      ["negotiate", {}],
      ["basic", { realm: "a" }],
    ],
  ],
  ['Basic realm="say \\"hi\\", you"', [["basic", { realm: 'say "hi", you' }]]],
  ["", []],
  ['realm="nobody"', []],
  ["Basic", [["basic", {}]]],
  ['Basic realm="unterminated', [["basic", { realm: "" }]]],
];
test.each(cases)("%j", (header, found) => {
  const read = parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
  expect(read as typeof found).toEqual(found);
});

test("a long header of garbage is read quickly", () => {
  for (const rubbish of ["a ".repeat(50_000), "a=".repeat(50_000), '"'.repeat(100_000), `a="${"\\".repeat(100_000)}`]) {
    parseChallenges(rubbish);
  }
});
