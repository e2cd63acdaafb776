/** What newer bpfman's parser accepts and the classic one does not; in the classic grammar, all of it stays an error. */
import { describe, expect, test } from "bun:test";
import { cli } from "../../fakes/cli-host.ts";

/** The request that a line makes, or the first line of its error. */
async function madeBy(line: readonly string[]): Promise<unknown> {
  const run = await cli(line, { answer: () => ({ programs: [], links: [], dispatchers: [] }) });
  const call = run.calls.find(({ name }) => name !== "complete");
  return call === undefined ? run.err.split("\n", 1)[0] : call.request;
}
const LIST = ["program", "list"];
const LOAD = ["program", "load", "x.o", "--programs", "xdp:a"];
const XDP = ["link", "attach", "xdp", "7", "eth0"];

describe("taken", () => {
  test.each<[name: string, line: readonly string[], request: object]>([
    ["the last of several values", [...LIST, "--application", "a", "--application=b"], { application: "b" }],
    ["also of a switch", [...LIST, "--all", "-a", "--all=false"], { all: false }],
    ["a switch with a value", [...LIST, "--all=true", "-q=no", "--attached=1"], { all: true, attached: true }],
    ["an empty value, for none", [...XDP, "-p", "0", "-n", ""], { attach: { netns: null, priority: 0 } }],
    ["the same behind =", [...XDP, "-p", "0", "--netns="], { attach: { netns: null } }],
    ["which takes back what stood before", [...LIST, "--application", "a", "--application", ""], { application: null }],
    ["no value in a list", [...LOAD, "-m", "", "-g", ""], { metadata: {}, globalData: {} }],
    ["a comma at the end", [...LOAD, "-m", "a=1,"], { metadata: { a: "1" } }],
    ["a comma in a value", [...LOAD, "-m", "a=1\\,2,b=\\x"], { metadata: { a: "1,2", b: "\\x" } }],
    [
      "blanks around names",
      [...LOAD, "-m", " a = 1", "-g", " G = 0x01 "],
      { metadata: { a: " 1" }, globalData: { G: "01" } },
    ],
    [
      "blanks in programs",
      ["program", "load", "x.o", "--programs", "xdp:a, fexit : b : c"],
      { programs: [{ type: "xdp" }, { type: "fexit", name: "b", attachFunction: "c" }] },
    ],
    [
      "the last value of a key",
      [...LOAD, "-m", "a=1", "-m", "a=2", "-g", "G=01,G=02"],
      { metadata: { a: "2" }, globalData: { G: "02" } },
    ],
    [
      "an application against its key",
      [...LOAD, "-a", "b", "-m", "bpfman.io/application=c"],
      { metadata: { "bpfman.io/application": "b" } },
    ],
    ["0 for no owner", [...LOAD, "--map-owner-id", "0"], { mapOwnerId: null, maps: {}, mapEntries: {} }],
    [
      "capitals in actions",
      [...XDP, "-p", "1", "--proceed-on", "PASS, Drop"],
      { attach: { proceedOn: ["pass", "drop"] } },
    ],
    [
      "capitals in directions",
      ["link", "attach", "tcx", "7", "e", "Egress", "-p", "1"],
      { attach: { direction: "egress" } },
    ],
    ["capitals in kinds", ["link", "--kind", "XDP, tcx"], { kinds: ["xdp", "tcx"] }],
    [
      "0 for any hook",
      ["dispatcher", "list", "--type", "XDP", "--nsid", "0", "--ifindex=0"],
      { type: "xdp", nsid: null, ifindex: null },
    ],
    ["capitals in types of dispatchers", ["dispatcher", "get", "TC-ingress", "1", "2"], { type: "tc-ingress" }],
    ["a switch of image verify", ["image", "verify", "a", "--allow-unsigned=false"], { allowUnsigned: false }],
  ])("%s", async (_, line, request) => {
    expect(await madeBy(line)).toMatchObject(request);
  });
});

describe("rejected", () => {
  test.each<[line: readonly string[], message: string]>([
    [[...LIST, "--all=maybe"], 'bpfman: error: "--all" takes true or false, but got "maybe"'],
    [[...XDP, "--priority="], 'bpfman: error: "bpfman link attach xdp" needs --priority <PRIORITY>'],
    [[...XDP, "-p", "1", "-p", ""], 'bpfman: error: "bpfman link attach xdp" needs --priority <PRIORITY>'],
    [
      ["program", "load", "x.o", "--programs", ""],
      'bpfman: error: "bpfman program load file" needs --programs <PROGRAMS>',
    ],
    [[...LOAD, "-m", "a=1,,b=2"], 'bpfman: error: invalid metadata "": must be KEY=VALUE'],
    [[...LOAD, "-m", " =1"], 'bpfman: error: invalid metadata "=1": must be KEY=VALUE'],
    [["list", "programs", "--all=true"], 'error: "--all" takes no value, but got "true"'],
    [
      ["list", "programs", "-p", "xdp", "-p", "tc"],
      'error: "--program-type <PROGRAM_TYPE>" cannot be used multiple times',
    ],
    [
      ["attach", "7", "xdp", "-i", "e", "-p", "1", "--proceed-on", "PASS"],
      'error: invalid proceed-on "PASS": must be one of aborted, drop, pass, tx, redirect, dispatcher_return',
    ],
    [["image", "pull", "-i", "a", "-i", "b"], 'error: "--image-url <IMAGE_URL>" cannot be used multiple times'],
  ])("%j", async (line, message) => {
    expect(await madeBy(line)).toBe(message);
  });
});

describe("-o json may stand anywhere", () => {
  test.each([
    "-o json program list",
    "program -o json list",
    "program list -o json",
    "program -o json",
    "program list -o=json",
    "program list -ojson",
    "--output=json program",
    "program --output json list --all",
    "-o text program list -o json",
  ])("%s", async (line) => {
    const run = await cli(line, { answer: () => ({ programs: [] }) });
    expect([run.err, JSON.parse(run.out)]).toEqual(["", { programs: [] }]);
  });
});

describe("deleting several", () => {
  test("what went along with one before is not asked for again, and the rest is tried", async () => {
    const run = await cli("program delete -r 7 8 9 7 -o json", {
      answer: ({ request }) => {
        const { programId } = request as { programId: number };
        return programId === 7 ? { deleted: [8, 7], detached: [1] } : { deleted: [programId], detached: [] };
      },
    });
    expect(run.calls.map(({ request }) => (request as { programId: number }).programId)).toEqual([7, 9]);
    expect([run.code, JSON.parse(run.out)]).toEqual([0, { deleted: [8, 7, 9], detached: [1] }]);
  });
  test("links likewise", async () => {
    const run = await cli("link delete 1 2 3 -r", {
      answer: ({ request }) =>
        (request as { linkId: number }).linkId === 1
          ? { deleted: [8, 7], detached: [2, 1] }
          : { deleted: [], detached: [3] },
    });
    expect(run.calls.map(({ request }) => (request as { linkId: number }).linkId)).toEqual([1, 3]);
    expect([run.code, run.out]).toEqual([0, ""]);
  });
});
