/** The noun-verb grammar: each line becomes one request to the same operations; errors have their own format. */
import { describe, expect, test } from "bun:test";
import { type GenericSchema, parse } from "valibot";
import { ATTACH_KINDS } from "../../../src/domain/kinds.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { OPERATIONS, type OperationName } from "../../../src/service/operations.ts";
import { everyLink, programAnswer, tcxLink, versionAnswer } from "../../fakes/answers.ts";
import { cli } from "../../fakes/cli-host.ts";

const LISTED = [
  {
    program_id: 7,
    managed: true,
    application: null,
    type: "xdp",
    function_name: "a",
    links: [],
    record: null,
    kernel: null,
  },
  {
    program_id: 9,
    managed: true,
    application: "x",
    type: "tc",
    function_name: "b",
    links: [3],
    record: null,
    kernel: null,
  },
];
const LINKS = everyLink.map((link) => ({ ...link.record, application: null, function_name: "f" }));
const ANSWERS: Readonly<Record<string, unknown>> = {
  "program/load": { programs: [programAnswer] },
  "program/unload": { program_id: 1, detached: [], unloaded: true },
  "program/list": { programs: LISTED },
  "program/get": programAnswer,
  "program/delete": { deleted: [1], detached: [2] },
  "link/attach": tcxLink,
  "link/detach": { link_id: 1, detached: true },
  "link/list": { links: LINKS },
  "link/get": everyLink[0],
  "link/update": tcxLink,
  "link/delete": { deleted: [], detached: [3] },
  "dispatcher/list": { dispatchers: [] },
  "dispatcher/delete": { key: { type: "xdp", nsid: 1, ifindex: 2 }, detached: [1] },
  version: versionAnswer,
};
const answered = (line: string | readonly string[]) => cli(line, { answer: (call) => ANSWERS[call.name] });

async function expectRequests(line: string, ...wanted: readonly (readonly [name: string, request: object])[]) {
  const run = await answered(line);
  expect([run.err, run.code]).toEqual(["", 0]);
  expect(run.calls.map((call) => [call.name, call.request])).toEqual(wanted.map((each) => [...each]));
  for (const [name, request] of wanted) {
    const { implementation } = await OPERATIONS[name as OperationName].module();
    expect(parse(implementation.request as GenericSchema, request)).toMatchObject(request);
  }
}

const load = {
  source: { file: "x.o" },
  programs: [{ type: "xdp", name: "a", attachFunction: null }],
  globalData: {},
  globals: {},
  metadata: {},
  mapOwnerId: null,
  maps: {},
  mapEntries: {},
};

describe("program load", () => {
  const more = { type: "kprobe", name: "b", attachFunction: null };
  const cases: [line: string, request: object][] = [
    ["program load file x.o --programs xdp:a", load],
    ["program load x.o --programs xdp:a", load],
    ["program load --programs xdp:a x.o", load],
    ["program load --programs=xdp:a -- x.o", load],
    ["program load file --programs xdp:a,kprobe:b x.o", { ...load, programs: [...load.programs, more] }],
    ["program load file x.o --programs xdp:a --programs kprobe:b", { ...load, programs: [...load.programs, more] }],
    [
      "program load file x.o --programs fexit:f:do_unlinkat",
      { ...load, programs: [{ type: "fexit", name: "f", attachFunction: "do_unlinkat" }] },
    ],
    ["program load file x.o --programs xdp:a -g A=0x0A0B,B=01", { ...load, globalData: { A: "0A0B", B: "01" } }],
    ["program load --programs xdp:a --set A=1 x.o --set B=eth0 --set A=2", { ...load, globals: { A: 2, B: "eth0" } }],
    ["program load file x.o --programs xdp:a -a app", { ...load, metadata: { "bpfman.io/application": "app" } }],
    [
      "program load file x.o --programs xdp:a -a app -m owner=me -m tier=1,zone=b",
      { ...load, metadata: { owner: "me", tier: "1", zone: "b", "bpfman.io/application": "app" } },
    ],
    [
      "program load file x.o --programs xdp:a --map a=/p,b=42 --map-entries c=9",
      { ...load, maps: { a: "/p", b: 42 }, mapEntries: { c: 9 } },
    ],
    ["program load file x.o --programs xdp:a --map-owner-id 5", { ...load, mapOwnerId: 5 }],
    // Asking for a return probe makes one; the metadata has the last word.
    [
      "program load file x.o --programs kretprobe:r",
      { ...load, programs: [{ type: "kretprobe", name: "r", attachFunction: null, actualType: "kretprobe" }] },
    ],
    [
      "program load file x.o --programs kprobe:r -m bpfman.io/actual-type:r=kretprobe",
      {
        ...load,
        programs: [{ type: "kprobe", name: "r", attachFunction: null, actualType: "kretprobe" }],
        metadata: { "bpfman.io/actual-type:r": "kretprobe" },
      },
    ],
  ];
  test.each(cases)("%s", (line, request) => expectRequests(line, ["program/load", request]));
});

const list = {
  programType: [],
  exactTypes: true,
  application: null,
  metadataSelector: {},
  selector: null,
  attached: null,
  all: false,
};
const links = { programId: null, programType: [], exactTypes: true, application: null, metadataSelector: {} };

describe("lists", () => {
  const summary = { ...list, view: "summary" };
  test.each<[string, string, object]>([
    ["program list", "program/list", summary],
    ["program", "program/list", summary],
    ["program -q", "program/list", summary],
    ["program -o json", "program/list", { ...list, view: "full" }],
    ["-o json program list", "program/list", { ...list, view: "full" }],
    ["program list -q -o json", "program/list", summary],
    ["program list --type XDP,kprobe -p tc", "program/list", { ...summary, programType: ["xdp", "kprobe", "tc"] }],
    ["program list --attached", "program/list", { ...summary, attached: true }],
    ["program list --unattached", "program/list", { ...summary, attached: false }],
    ["program list -l a=b,c!=d", "program/list", { ...summary, selector: "a=b,c!=d" }],
    ["program list -m a=b -m c=d", "program/list", { ...summary, metadataSelector: { a: "b", c: "d" } }],
    ["program list -a --application x", "program/list", { ...summary, all: true, application: "x" }],
    ["link", "link/list", links],
    ["link --kind xdp,tcx", "link/list", { ...links, kinds: ["xdp", "tcx"] }],
    ["link list --program-id 7 -p probe", "link/list", { ...links, programId: 7, programType: ["probe"] }],
    ["link list --application x -m a=b", "link/list", { ...links, application: "x", metadataSelector: { a: "b" } }],
    ["dispatcher", "dispatcher/list", { type: null, nsid: null, ifindex: null, all: false }],
  ])("%s", (line, name, request) => expectRequests(line, [name, request]));

  test("-q prints ids alone, as JSON a list of them", async () => {
    expect((await answered("program list -q")).out).toBe("7\n9\n");
    expect(JSON.parse((await answered("program list -q -o json")).out)).toEqual([7, 9]);
    expect(JSON.parse((await answered("list programs -q -o json")).out)).toEqual([7, 9]);
    expect((await answered("list links --quiet")).out).toBe((await answered("link -q")).out);
    expect((await answered("link -q")).out).toBe(LINKS.map((link) => `${link.id}\n`).join(""));
  });
  test("an empty list prints nothing as text, and a list as JSON", async () => {
    const nothing = { answer: () => ({ programs: [], links: [] }) };
    expect((await cli("program list", nothing)).out).toBe("");
    expect((await cli("link list", nothing)).out).toBe("");
    expect(JSON.parse((await cli("link list -o json", nothing)).out)).toEqual({ programs: [], links: [] });
  });
});

describe("one thing, or several", () => {
  test.each<[string, ...(readonly [string, object])[]]>([
    ["program get 7", ["program/get", { programId: 7 }]],
    ["get program 7", ["program/get", { programId: 7 }]],
    ["link get 3", ["link/get", { linkId: 3 }]],
    [
      "program unload 7 8 --ignore-missing",
      ["program/unload", { programId: 7, ignoreMissing: true }],
      ["program/unload", { programId: 8, ignoreMissing: true }],
    ],
    ["link detach 3", ["link/detach", { linkId: 3, ignoreMissing: false }]],
    ["program delete 7 -r", ["program/delete", { programId: 7, recursive: true }]],
    ["program delete --all", ["program/delete", { all: true, recursive: false }]],
    [
      "link delete 3 4",
      ["link/delete", { linkId: 3, recursive: false }],
      ["link/delete", { linkId: 4, recursive: false }],
    ],
    ["link update 3 -p 2147483647", ["link/update", { linkId: 3, priority: 2147483647, proceedOn: null }]],
    ["dispatcher delete xdp 1 2", ["dispatcher/delete", { type: "xdp", nsid: 1, ifindex: 2 }]],
    ["version", ["version", { features: false }]],
  ])("%s", (line, ...requests) => expectRequests(line, ...requests));
});

describe("link attach", () => {
  const network = { iface: "eth0", priority: 50, netns: null };
  test.each<[string, object]>([
    [
      "xdp 7 eth0 -p 50 --xdp-mode=drv",
      { kind: "xdp", ...network, proceedOn: ["pass", "dispatcher_return"], xdpMode: "drv" },
    ],
    ["xdp 7 eth0 -p 50", { kind: "xdp", ...network, proceedOn: ["pass", "dispatcher_return"], xdpMode: null }],
    [
      "xdp 7 eth0 -p 0 --proceed-on pass,drop --proceed-on tx -n /run/netns/a",
      {
        kind: "xdp",
        iface: "eth0",
        priority: 0,
        netns: "/run/netns/a",
        proceedOn: ["pass", "drop", "tx"],
        xdpMode: null,
      },
    ],
    [
      "xdp 7 eth0 --priority=2147483647",
      { kind: "xdp", ...network, priority: 2147483647, proceedOn: ["pass", "dispatcher_return"], xdpMode: null },
    ],
    [
      "tc 7 eth0 ingress -p 50",
      { kind: "tc", ...network, direction: "ingress", proceedOn: ["pipe", "dispatcher_return"] },
    ],
    ["tc 7 eth0 egress -p 50 --proceed-on ok", { kind: "tc", ...network, direction: "egress", proceedOn: ["ok"] }],
    ["tcx 7 eth0 ingress -p 50", { kind: "tcx", ...network, direction: "ingress" }],
    ["tracepoint 7 sched/sched_switch", { kind: "tracepoint", tracepoint: "sched/sched_switch" }],
    ["kprobe 7 do_unlinkat --offset 0x10", { kind: "kprobe", fnName: "do_unlinkat", offset: 16 }],
    [
      "uprobe 7 libc -f malloc --pid 4 --container-pid 5",
      { kind: "uprobe", target: "libc", fnName: "malloc", offset: 0, pid: 4, containerPid: 5 },
    ],
    [
      "uprobe 7 /bin/sh --offset 64 --pid 0",
      { kind: "uprobe", target: "/bin/sh", fnName: null, offset: 64, pid: null, containerPid: null },
    ],
    ["fentry 7", { kind: "fentry" }],
    ["fexit 7", { kind: "fexit" }],
    ["freplace 7", { kind: "freplace" }],
    ["lsm 7", { kind: "lsm" }],
    ["cgroup 7 /sys/fs/cgroup/a", { kind: "cgroup", cgroup: "/sys/fs/cgroup/a", priority: 1000, direction: null }],
    [
      "cgroup 7 /sys/fs/cgroup/a -p 2147483647",
      { kind: "cgroup", cgroup: "/sys/fs/cgroup/a", priority: 2147483647, direction: null },
    ],
    ["sk_lookup 7", { kind: "sk_lookup", netns: null }],
    [
      "netfilter 7 IPv4 Input -p -10",
      { kind: "netfilter", protocol: "ipv4", hook: "input", priority: -10, defrag: false, netns: null },
    ],
  ])("%s", (line, attach) =>
    expectRequests(`link attach ${line} -m owner=me`, [
      "link/attach",
      { programId: 7, attach, metadata: { owner: "me" } },
    ]),
  );

  test("-o is the output here, also for probes", async () => {
    for (const line of [
      "link attach kprobe 7 f -o json",
      "link attach -o json kprobe 7 f",
      "-o json link attach kprobe 7 f",
    ]) {
      const run = await answered(line);
      const { link_id, ...record } = tcxLink.record;
      const { attachment, ...status } = tcxLink.status;
      expect(attachment).not.toBeNull();
      expect([line, run.err, JSON.parse(run.out)]).toEqual([line, "", { record, status }]);
      expect(record.id).toBe(link_id);
    }
  });
});

describe("images", () => {
  const pulled = { url: "h.io/a:1", registryAuth: null };
  const build = { tag: "h.io/a:1", containerFile: null, runtime: null, contextDirectory: null };
  const host = { file: "x.o", project: null, files: null };
  const two = {
    file: null,
    project: null,
    files: [
      { platform: "linux/amd64", file: "a.o" },
      { platform: "linux/s390x", file: "b=c.o" },
    ],
  };
  test.each<[string, string, object]>([
    ["program load image h.io/a:1 --programs xdp:a", "program/load", { ...load, source: { image: pulled } }],
    [
      "program load image h.io/a:1 --programs xdp:a -p never --registry-auth dTpw",
      "program/load",
      { ...load, source: { image: { ...pulled, pullPolicy: "never", registryAuth: "dTpw" } } },
    ],
    ["image build h.io/a:1 x.o", "image/build", { ...build, bytecode: host }],
    ["image build -t h.io/a:1 x.o", "image/build", { ...build, bytecode: host }],
    ["image build h.io/a:1 linux/amd64=a.o linux/s390x=b=c.o", "image/build", { ...build, bytecode: two }],
    ["image build h.io/a:1 -c out", "image/build", { ...build, bytecode: { file: null, project: "out", files: null } }],
    ["image generate-build-args x.o", "image/generateBuildArgs", { bytecode: host }],
    [
      "image generate-build-args linux/amd64=a.o linux/s390x=b=c.o -o json",
      "image/generateBuildArgs",
      { bytecode: two },
    ],
    ["image inspect h.io/a:1", "image/inspect", pulled],
  ])("%s", async (line, name, request) => {
    const answers = { programs: [programAnswer], build_args: {}, published: "" };
    const run = await cli(line, { answer: () => answers });
    expect([run.err, run.code]).toEqual(["", 0]);
    expect(run.calls.map((call) => [call.name, call.request])).toEqual([[name, request]]);
  });

  test("inspect answers JSON unless text is asked for", async () => {
    const answer = () => ({ reference: "h.io/a:1" });
    expect(JSON.parse((await cli("image inspect h.io/a:1", { answer })).out)).toEqual({ reference: "h.io/a:1" });
  });

  test("which grammar a line is of decides how it fails: by its command, or by a word that only one has", async () => {
    const refuse = (): never => {
      throw new BpfmanError("IMAGE_NOT_FOUND", "no image");
    };
    const failing = async (line: string) => {
      const { code, err } = await cli(line, { refuse });
      return [code, err.split("\n", 1)[0]];
    };
    const noun = [1, "bpfman: error: no image"];
    expect(await failing("image inspect h.io/a:1 -o json")).toEqual(noun);
    expect(await failing("image verify h.io/a:1")).toEqual(noun);
    expect(await failing("image build h.io/a:1 x.o")).toEqual(noun);
    expect(await failing("image build h.io/a:1 -c out")).toEqual(noun);
    expect(await failing("image generate-build-args x.o -o json")).toEqual(noun);
    const classic = [3, "error: no image"];
    expect(await failing("image build -t h.io/a:1 -b x.o")).toEqual(classic);
    expect(await failing("image generate-build-args -b x.o")).toEqual(classic);
    expect(await failing("image pull -i h.io/a:1")).toEqual(classic);
  });

  test("an image needs a name", async () => {
    expect(await cli("image build")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error: "bpfman image build" needs --tag <TAG>\n/),
    });
  });

  test.each([
    ["image build h.io/a:1", "no bytecode file was given"],
    ["image build h.io/a:1 a.o b.o", "several bytecode files need the platform of each"],
    ["image build h.io/a:1 a.o linux/amd64=b.o", "several bytecode files need the platform of each"],
    ["image build h.io/a:1 linux/amd46=b.o", 'unknown platform "linux/amd46"'],
    ["image build h.io/a:1 linux/arm=", "the bytecode file for linux/arm is missing"],
    ["image build h.io/a:1 linux/arm=a linux/arm=b", "platform linux/arm is given more than once"],
    ["image build h.io/a:1 a.o -b b.o", '"--bytecode <BYTECODE>" cannot be used with bytecode file "a.o"'],
  ])("%s is rejected", async (line, message) => {
    const run = await cli(line);
    expect([run.code, run.err.split("\n", 1)]).toEqual([1, [`bpfman: error: ${message}`]]);
  });
});

describe("errors", () => {
  test.each([
    ["program list --attached --unattached", "--attached and --unattached are mutually exclusive"],
    ["program delete", '"bpfman program delete" needs <PROGRAM_ID>... or --all'],
    ["program delete --all 7", "--all and program ids are mutually exclusive"],
    ["program load file x.o", '"bpfman program load file" needs --programs <PROGRAMS>'],
    ["program load", '"bpfman program load file" needs <PATH> and --programs <PROGRAMS>'],
    ["program lsit", 'unknown command "lsit" for "bpfman program"'],
    ["link attach", `"bpfman link attach" needs a command: ${ATTACH_KINDS.join(", ")}`],
    ["link attach xdp 7 eth0", '"bpfman link attach xdp" needs --priority <PRIORITY>'],
    ["link attach xdp 7 eth0 -p -1", 'invalid priority "-1": must be a whole number from 0 to 2147483647'],
    ["link attach tc 7 eth0 up -p 1", 'invalid direction "up": must be one of ingress, egress'],
    ["link list --kind xpd", 'invalid link kind "xpd"'],
    [
      "program load x.o --programs kprobe:r -m bpfman.io/actual-type:r=retprobe",
      'invalid actual program type "retprobe"',
    ],
  ])("%s", async (line, message) => {
    const run = await cli(line);
    // What an object holds may be looked up for the error.
    const calls = run.calls.filter(({ name }) => name !== "complete");
    expect([run.code, run.out, calls]).toEqual([1, "", []]);
    expect(run.err).toStartWith(`bpfman: error: ${message}`);
    expect(run.err).toContain("\nUsage: bpfman ");
  });

  test("of operations exit with 1, as text also when JSON was asked for, and the log in full", async () => {
    const fail = () => {
      throw new BpfmanError("PROGRAM_NOT_FOUND", "program 7 does not exist", { verifierLog: "0: R1\n1: (95) exit\n" });
    };
    const run = await cli("program get 7 -o json", { answer: fail });
    expect([run.code, run.err]).toEqual([
      1,
      'bpfman: error: program 7 does not exist\nhint: see "bpfman list programs"\n\n0: R1\n1: (95) exit\n',
    ]);
    // The same operation in the classic grammar keeps its own.
    expect(await cli("get program 7", { answer: fail })).toMatchObject({
      code: 3,
      err: expect.stringMatching(/^error: /),
    });
  });
  test("of several ids are all reported", async () => {
    const run = await cli("link delete 3 4", {
      answer: () => {
        throw new BpfmanError("LINK_NOT_FOUND", "link does not exist");
      },
    });
    expect([run.code, run.err.match(/bpfman: error: /g)?.length]).toEqual([1, 2]);
  });
});
