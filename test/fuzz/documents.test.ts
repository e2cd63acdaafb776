/**
 * Documents of a desired state, cut, repeated and rearranged: each is either read or rejected with its own error, which has
 * a place in the document. Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_FUZZ_ROUNDS=N runs more.
 */
import { expect, test } from "bun:test";
import { BpfmanError } from "../../src/errors/error.ts";
import { desiredUnits } from "../../src/service/apply/desired.ts";
import { readDocuments } from "../../src/service/apply/read-documents.ts";
import { FakeFiles } from "../fakes/fake-host.ts";

const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const ROUNDS = Number(process.env.BPFMAN_FUZZ_ROUNDS ?? 1000);

/** A linear congruential generator (Numerical Recipes' constants): the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const WHOLE = `# a comment
applications:
  counter: &c
    metadata: { team: "net", "k": 'v' }
    objects:
      - path: x.o
        globals: { LIMIT: 10, BIG: 18446744073709551615, F: 1.5e3 }
        mapOwner: base/count
        programs:
          - name: count
            type: tcx
            attach:
              - { kind: tcx, iface: "eth*", direction: ingress, priority: 50, metadata: { a: b } }
              - kind: xdp
                iface: eth0
                priority: 1
                proceedOn: [pass, drop]
  other: *c
---
objects: [{ image: { url: a/b:c }, programs: [{ name: all }], maps: { m: /sys/fs/bpf/m } }]
`;
const PIECES = [
  ...[
    "&a ",
    "*a",
    "*c",
    "!!map ",
    "!!binary ",
    "<<: ",
    "? ",
    "- ",
    ": ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
  ],
  ...[
    "__proto__",
    "constructor",
    "null",
    "~",
    ".inf",
    "0x10",
    "[",
    "{",
    "]",
    "}",
    '"',
    "'",
    "\t",
    "\u0000",
    "\u2028",
    "\r",
  ],
  ...["applications", "objects", "programs", "attach", "name", "path", "mapOwner"],
];

test(`${ROUNDS} damaged documents are read or rejected with their place (seed ${SEED})`, () => {
  const random = randomFrom(SEED);
  const files = new FakeFiles();
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let text = WHOLE;
    for (let changes = random(4); changes > 0; changes--) {
      const [at, length] = [random(text.length), random(30)];
      const piece =
        random(3) === 0 ? text.slice(random(text.length)).slice(0, length) : (PIECES[random(PIECES.length)] ?? "");
      text = text.slice(0, at) + piece + text.slice(at + (random(2) === 0 ? length : 0));
    }
    try {
      desiredUnits(readDocuments(files, [{ text, name: "f.yaml", directory: "/" }]), files.absolute);
      read++;
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError))
        throw new Error(`round ${round}: ${JSON.stringify(text)}`, { cause: thrown });
      expect([thrown.code, typeof thrown.details.line, thrown.message.includes("\n")]).toEqual([
        "INVALID_DOCUMENT",
        "number",
        false,
      ]);
    }
  }
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(ROUNDS);
});
