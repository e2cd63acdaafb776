import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { type GenericSchema, parse } from "valibot";
import { ANY_TARGET } from "../../../src/cli/attach/any-target.ts";
import { attachTarget } from "../../../src/service/requests/attach-request.ts";
import { OPERATIONS, type OperationName } from "../../../src/service/operations.ts";
import { cli } from "../../fakes/cli-host.ts";
import { everyLink, programAnswer, tcxLink, versionAnswer } from "../../fakes/answers.ts";

/** The schemas that `invoke` would check against, from the operations table. */
const SCHEMAS = Object.fromEntries(
  await Promise.all(
    (Object.keys(OPERATIONS) as OperationName[]).map(async (name) => {
      const { implementation } = await OPERATIONS[name].module();
      return [name, implementation.request as GenericSchema] as const;
    }),
  ),
);

const ANSWERS: Readonly<Record<string, unknown>> = {
  "program/load": { programs: [programAnswer] },
  "program/run": { programs: [programAnswer], links: [tcxLink] },
  "program/unload": { program_id: 1, detached: [], unloaded: true },
  "program/list": { programs: [] },
  "program/get": programAnswer,
  "link/attach": tcxLink,
  "link/detach": { link_id: 1, detached: true },
  "link/list": { links: [] },
  "link/get": everyLink[0],
  "image/build": { published: "example.com/a@sha256:0" },
  "image/generateBuildArgs": { build_args: {} },
  "history/list": { operations: [] },
  version: versionAnswer,
};

/** Each line must become exactly this one request, which the service's schema takes as it is. */
async function expectRequest(line: string | string[], name: string, request: unknown): Promise<void> {
  const run = await cli(line, { answer: (call) => ANSWERS[call.name] });
  expect(run.err).toBe("");
  expect(run.code).toBe(0);
  expect(run.calls.map((call) => [call.name, call.request])).toEqual([[name, request]]);
  expect(parse(SCHEMAS[name]!, request)).toEqual(request);
}

const load = {
  source: { file: "x.o" },
  programs: [{ type: "xdp", name: "a", attachFunction: null }],
  globalData: {},
  globals: {},
  metadata: {},
  application: null,
  mapOwnerId: null,
  maps: {},
  mapEntries: {},
};

describe("run", () => {
  const image = { url: "h/a:v1", registryAuth: null };
  const onEth0 = { iface: "eth0", priority: 50 };
  const cases: [line: string, request: unknown][] = [
    ["run x.o xdp:a --iface eth0 --priority 50", { ...load, attach: onEth0 }],
    ["run -i eth0 -p 50 x.o xdp:a", { ...load, attach: onEth0 }],
    ["run x.o xdp:a -a app -m k=v", { ...load, application: "app", metadata: { k: "v" }, attach: {} }],
    ["run x.o xdp:a --map m=7 --visited-map 9", { ...load, maps: { m: 7 }, attach: { map: "9" } }],
    ["run x.o xdp:a --proceed-on pass drop", { ...load, attach: { proceedOn: ["pass", "drop"] } }],
    [
      "run x.o xdp:a b --offset 0 --defrag -q",
      {
        ...load,
        programs: [...load.programs, { type: null, name: "b", attachFunction: null }],
        attach: { offset: 0, defrag: true },
      },
    ],
  ];
  test.each(cases)("%s", (line, request) => expectRequest(line, "program/run", request));

  test("there is an option for each field of each target", () => {
    const fields = new Set(attachTarget().options.flatMap(({ entries }) => Object.keys(entries)));
    fields.delete("kind");
    const options = Object.keys(ANY_TARGET).map((name) => (name === "visitedMap" ? "map" : name));
    expect(options.toSorted()).toEqual([...fields].sort());
  });

  test("of an image, all words are programs", async () => {
    const { calls } = await cli("run --image-url h/a:v1 xdp:a b -i eth0 -p 50", {
      answer: (call) => ANSWERS[call.name],
    });
    expect(calls[0]?.request).toMatchObject({
      source: { image },
      programs: [{ name: "a" }, { type: null, name: "b" }],
      attach: onEth0,
    });
  });

  test("without a program, it says which there are, or what is wrong with the file", async () => {
    const names = await cli("run x.o", { answer: () => ({ values: [{ value: "xdp:a" }, { value: "b" }] }) });
    expect([names.code, names.calls.map(({ name }) => name)]).toEqual([2, ["complete"]]);
    expect(names.err).toContain('hint: "x.o" holds xdp:a, b\n');
    const missing = (): never => {
      throw new BpfmanError("FILE_NOT_FOUND", 'read "x.o": the file does not exist');
    };
    expect((await cli("run x.o", { answer: missing })).err).toContain('hint: read "x.o": the file does not exist\n');
  });

  test("prints the ids of each program and its link on a line", async () => {
    const { out } = await cli("run -q x.o a", { answer: (call) => ANSWERS[call.name] });
    expect(out).toBe(`${programAnswer.record?.program_id} ${tcxLink.record.id}\n`);
  });
});

describe("load file", () => {
  const two = [...load.programs, { type: "kprobe", name: "b", attachFunction: null }];
  const cases: [line: string, request: unknown][] = [
    ["load file --programs xdp:a --path x.o", load],
    ["load file --programs xdp:a -p x.o", load],
    ["load file --programs a -p x.o", { ...load, programs: [{ type: null, name: "a", attachFunction: null }] }],
    [
      "load file --programs fentry:a tp_btf:b:sched_switch all -p x.o",
      {
        ...load,
        programs: [
          { type: "fentry", name: "a", attachFunction: null },
          { type: "tp_btf", name: "b", attachFunction: "sched_switch" },
          { type: null, name: "all", attachFunction: null },
        ],
      },
    ],
    ["load file --programs xdp:a -px.o", load],
    ["load file --programs xdp:a -p=x.o", load],
    ["load file --programs=xdp:a --path=x.o", load],
    ["load file -p x.o --programs xdp:a kprobe:b", { ...load, programs: two }],
    ["load file --programs xdp:a kprobe:b -p x.o", { ...load, programs: two }],
    ["load file --programs xdp:a --programs kprobe:b -p x.o", { ...load, programs: two }],
    ["load file --programs=xdp:a --programs=kprobe:b -p x.o", { ...load, programs: two }],
    [
      "load file --programs fentry:f:do_unlinkat -p x.o",
      { ...load, programs: [{ type: "fentry", name: "f", attachFunction: "do_unlinkat" }] },
    ],
    [
      "load file --programs xdp:a -g A=01 B=0a0B -p x.o --global C=ff",
      { ...load, globalData: { A: "01", B: "0a0B", C: "ff" } },
    ],
    [
      'load file --programs xdp:a -p x.o --set A=10 B=eth0 C="eth1"',
      { ...load, globals: { A: 10, B: "eth0", C: "eth1" } },
    ],
    [
      'load file --programs xdp:a -p x.o --set A={"b":[1,true]} --set B=18446744073709551615 --set C==',
      { ...load, globals: { A: { b: [1, true] }, B: 18446744073709551615n, C: "=" } },
    ],
    ["load file --programs xdp:a -p x.o -gA=01", { ...load, globalData: { A: "01" } }],
    ["load file --programs xdp:a -p x.o --global=A=01", { ...load, globalData: { A: "01" } }],
    ["load file --programs xdp:a -p x.o -a app", { ...load, application: "app" }],
    ["load file --programs xdp:a -p x.o --application=app", { ...load, application: "app" }],
    ["load file --programs xdp:a -p x.o -m a=1,b=2=3", { ...load, metadata: { a: "1", b: "2=3" } }],
    ["load file --programs xdp:a -p x.o -m a=1 -m b= -m a=1", { ...load, metadata: { a: "1", b: "" } }],
    ["load file --programs xdp:a -p x.o --metadata=a=1,b=2", { ...load, metadata: { a: "1", b: "2" } }],
    ["load file --programs xdp:a -p x.o --map-owner-id 63178", { ...load, mapOwnerId: 63178 }],
    [
      "load file --programs xdp:a -p x.o --map a=/sys/fs/bpf/a b=42 --map c=./7",
      { ...load, maps: { a: "/sys/fs/bpf/a", b: 42, c: "./7" } },
    ],
    [
      "load file --programs xdp:a -p x.o --map-entries a=1 --map-entries=b=4294967295",
      { ...load, mapEntries: { a: 1, b: 0xffff_ffff } },
    ],
    ["load file --programs xdp:a -p - ", { ...load, source: { file: "-" } }],
  ];
  test.each(cases)("%s", (line, request) => expectRequest(line, "program/load", request));

  test("a value may hold spaces", () =>
    expectRequest(["load", "file", "--programs", "xdp:a", "-p", "x.o", "-a", "my app"], "program/load", {
      ...load,
      application: "my app",
    }));
});

describe("attach", () => {
  const network = { iface: "eth0", priority: 50, netns: null };
  const cases: [line: string, attach: unknown, metadata?: unknown][] = [
    ["xdp -i eth0 -p 50", { kind: "xdp", ...network, proceedOn: [], xdpMode: null }],
    ["xdp --iface eth0 --priority 50", { kind: "xdp", ...network, proceedOn: [], xdpMode: null }],
    ["xdp --iface=eth0 --priority=50", { kind: "xdp", ...network, proceedOn: [], xdpMode: null }],
    ["xdp -ieth0 -p0", { kind: "xdp", ...network, priority: 0, proceedOn: [], xdpMode: null }],
    [
      "xdp -i eth0 -p 1000 --proceed-on pass drop",
      { kind: "xdp", ...network, priority: 1000, proceedOn: ["pass", "drop"], xdpMode: null },
    ],
    [
      "xdp -i eth0 --proceed-on aborted --proceed-on tx redirect dispatcher_return -p 50",
      { kind: "xdp", ...network, proceedOn: ["aborted", "tx", "redirect", "dispatcher_return"], xdpMode: null },
    ],
    ["xdp -i eth0 -p 50 --xdp-mode skb", { kind: "xdp", ...network, proceedOn: [], xdpMode: "skb" }],
    [
      "xdp -i eth0 -p 50 -n /run/netns/a",
      { kind: "xdp", ...network, netns: "/run/netns/a", proceedOn: [], xdpMode: null },
    ],
    ["xdp -i eth0 -p 50 -m a=1,b=2", { kind: "xdp", ...network, proceedOn: [], xdpMode: null }, { a: "1", b: "2" }],
    ["tc -d ingress -i eth0 -p 50", { kind: "tc", ...network, direction: "ingress", proceedOn: [] }],
    [
      "tc --direction egress --iface eth0 --priority 50 --proceed-on unspec ok reclassify shot pipe stolen queued repeat redirect trap dispatcher_return --netns /n",
      {
        kind: "tc",
        ...network,
        netns: "/n",
        direction: "egress",
        proceedOn: [
          "unspec",
          "ok",
          "reclassify",
          "shot",
          "pipe",
          "stolen",
          "queued",
          "repeat",
          "redirect",
          "trap",
          "dispatcher_return",
        ],
      },
    ],
    ["tcx -d ingress -i eth0 -p 50", { kind: "tcx", ...network, direction: "ingress" }],
    [
      "tcx --direction=egress -i eth0 -p 50 -n /n --metadata a=1",
      { kind: "tcx", ...network, netns: "/n", direction: "egress" },
      { a: "1" },
    ],
    ["tracepoint -t sched/sched_switch", { kind: "tracepoint", tracepoint: "sched/sched_switch" }],
    [
      "tracepoint --tracepoint sched/sched_switch -m a=b",
      { kind: "tracepoint", tracepoint: "sched/sched_switch" },
      { a: "b" },
    ],
    ["tp_btf", { kind: "tp_btf" }],
    ["fmod_ret -m a=b", { kind: "fmod_ret" }, { a: "b" }],
    ["freplace", { kind: "freplace" }],
    ["kprobe.multi -f tcp_*", { kind: "kprobe.multi", fnName: "tcp_*" }],
    [
      "uprobe.multi --target libc -f malloc*",
      { kind: "uprobe.multi", target: "libc", fnName: "malloc*", pid: null, containerPid: null },
    ],
    ["iter", { kind: "iter", map: null }],
    ["iter --map 5/flows", { kind: "iter", map: "5/flows" }],
    [
      "perf_event --event page-faults --pid 4711 --period 1",
      { kind: "perf_event", event: "page-faults", cpu: null, pid: 4711, period: 1, frequency: null },
    ],
    [
      "perf_event -e cpu-clock --cpu 0 --frequency 99",
      { kind: "perf_event", event: "cpu-clock", cpu: 0, pid: null, period: null, frequency: 99 },
    ],
    ["raw_tp -t sched_switch", { kind: "raw_tp", tracepoint: "sched_switch" }],
    ["kprobe -f vfs_read", { kind: "kprobe", fnName: "vfs_read", offset: 0, containerPid: null }],
    ["kprobe --fn-name vfs_read --offset 16", { kind: "kprobe", fnName: "vfs_read", offset: 16, containerPid: null }],
    [
      "kprobe -f vfs_read -o 0x10 -c 99 -m a=b",
      { kind: "kprobe", fnName: "vfs_read", offset: 16, containerPid: 99 },
      { a: "b" },
    ],
    ["kprobe -f vfs_read --container-pid 99", { kind: "kprobe", fnName: "vfs_read", offset: 0, containerPid: 99 }],
    ["uprobe -t libc", { kind: "uprobe", target: "libc", fnName: null, offset: 0, pid: null, containerPid: null }],
    [
      "uprobe --target /bin/bash --fn-name main --offset 0xFF --pid 12 --container-pid 13",
      { kind: "uprobe", target: "/bin/bash", fnName: "main", offset: 255, pid: 12, containerPid: 13 },
    ],
    [
      "uprobe -t /bin/bash -f main -o 4 -p 12 -c 13 -m a=b",
      { kind: "uprobe", target: "/bin/bash", fnName: "main", offset: 4, pid: 12, containerPid: 13 },
      { a: "b" },
    ],
    ["fentry", { kind: "fentry" }],
    ["fentry -m a=b", { kind: "fentry" }, { a: "b" }],
    ["fexit", { kind: "fexit" }],
    ["lsm", { kind: "lsm" }],
    ["cgroup --cgroup /c", { kind: "cgroup", cgroup: "/c", priority: 1000, direction: null }],
    ["cgroup -c c -p 5 -d egress", { kind: "cgroup", cgroup: "c", priority: 5, direction: "egress" }],
    ["sk_lookup", { kind: "sk_lookup", netns: null }],
    ["sk_lookup -n /run/netns/a -m a=b", { kind: "sk_lookup", netns: "/run/netns/a" }, { a: "b" }],
    [
      "netfilter --protocol ipv4 --hook prerouting",
      { kind: "netfilter", protocol: "ipv4", hook: "prerouting", priority: 0, defrag: false, netns: null },
    ],
    [
      "netfilter --protocol ipv6 --hook postrouting -p -2147483647 --defrag --netns /n",
      { kind: "netfilter", protocol: "ipv6", hook: "postrouting", priority: -2147483647, defrag: true, netns: "/n" },
    ],
    [
      "netfilter --protocol=ipv6 --hook=output --priority=2147483646",
      { kind: "netfilter", protocol: "ipv6", hook: "output", priority: 2147483646, defrag: false, netns: null },
    ],
    ["fexit --metadata a=b", { kind: "fexit" }, { a: "b" }],
  ];
  test.each(cases)("attach 5 %s", (line, attach, metadata = {}) =>
    expectRequest(`attach 5 ${line}`, "link/attach", { programId: 5, attach, metadata }),
  );

  test("the id may stand behind the kind", () =>
    expectRequest("attach fentry 5", "link/attach", { programId: 5, attach: { kind: "fentry" }, metadata: {} }));
});

describe("list, get, version", () => {
  const all = { programType: null, application: null, metadataSelector: {}, all: false, view: "summary" };
  const { all: _all, view: _view, ...links } = all;
  const cases: [line: string, name: string, request: unknown][] = [
    ["list programs", "program/list", all],
    ["list program", "program/list", all],
    ["list programs -o json", "program/list", { ...all, view: "full" }],
    ["list programs -a", "program/list", { ...all, all: true }],
    ["list programs --all", "program/list", { ...all, all: true }],
    ["list programs -apxdp", "program/list", { ...all, all: true, programType: "xdp" }],
    ["list programs -p kretprobe", "program/list", { ...all, programType: "kretprobe" }],
    [
      "list programs --program-type raw-tracepoint-writable",
      "program/list",
      { ...all, programType: "raw-tracepoint-writable" },
    ],
    ["list programs --application app", "program/list", { ...all, application: "app" }],
    ["list programs -m a=1,b=2", "program/list", { ...all, metadataSelector: { a: "1", b: "2" } }],
    ["list programs --metadata-selector a=1", "program/list", { ...all, metadataSelector: { a: "1" } }],
    ["list links", "link/list", links],
    ["list link", "link/list", links],
    ["list links -p probe", "link/list", { ...links, programType: "probe" }],
    ["list links --program-type tcx", "link/list", { ...links, programType: "tcx" }],
    ["list links --application app", "link/list", { ...links, application: "app" }],
    ["list links -m a=1 --metadata-selector b=2", "link/list", { ...links, metadataSelector: { a: "1", b: "2" } }],
    ["get program 6321", "program/get", { programId: 6321 }],
    ["get program -- 6321", "program/get", { programId: 6321 }],
    ["get program count", "program/get", { programId: "count" }],
    ["get program 5g/count", "program/get", { programId: "5g/count" }],
    ["get link count", "link/get", { linkId: "count" }],
    ["unload app/count", "program/unload", { programId: "app/count", ignoreMissing: false }],
    ["get link 4294967295", "link/get", { linkId: 4294967295 }],
    ["version", "version", { features: false }],
    ["version -o json", "version", { features: true }],
    ["--version", "version", { features: false }],
    ["-V", "version", { features: false }],
    ["-V -o json", "version", { features: true }],
    ["unload 5", "program/unload", { programId: 5, ignoreMissing: false }],
    ["unload --ignore-missing 5", "program/unload", { programId: 5, ignoreMissing: true }],
    ["detach 5", "link/detach", { linkId: 5, ignoreMissing: false }],
    ["detach 5 --ignore-missing", "link/detach", { linkId: 5, ignoreMissing: true }],
  ];
  test.each(cases)("%s", expectRequest);
});

test("every type word of the seed is a filter", async () => {
  const words =
    "unspec socket-filter probe tc sched-act tracepoint xdp perf-event cgroup-skb cgroup-sock lwt-in lwt-out lwt-xmit sock-ops sk-skb cgroup-device sk-msg raw-tracepoint cgroup-sock-addr lwt-seg6-local lirc-mode2 sk-reuseport flow-dissector cgroup-sysctl raw-tracepoint-writable cgroup-sockopt tracing struct-ops ext lsm sk-lookup syscall";
  for (const word of words.split(" ")) {
    const run = await cli(`list programs -p ${word}`, { answer: () => ({ programs: [] }) });
    expect([word, run.code]).toEqual([word, 0]);
  }
});

test("unload and detach try every id, in order", async () => {
  const run = await cli("detach 3 1 2", { answer: () => ({ link_id: 0, detached: true }) });
  expect(run.calls.map((call) => call.request)).toEqual([3, 1, 2].map((linkId) => ({ linkId, ignoreMissing: false })));
  expect(run.connected).toHaveLength(1);
  expect(run.out).toBe("");
});

describe("images are made from", () => {
  const none = { file: null, project: null, files: null };
  const built = { tag: "example.com/a:v1", containerFile: null, runtime: null, contextDirectory: null };
  test("one object", async () => {
    await expectRequest("image build -t example.com/a:v1 -b x.o", "image/build", {
      ...built,
      bytecode: { ...none, file: "x.o" },
    });
    await expectRequest("image generate-build-args --bytecode=x.o", "image/generateBuildArgs", {
      bytecode: { ...none, file: "x.o" },
    });
  });
  test("the directory of a cilium/ebpf project", async () => {
    const bytecode = { ...none, project: "./p" };
    await expectRequest("image build --tag example.com/a:v1 -c ./p", "image/build", { ...built, bytecode });
    await expectRequest("image generate-build-args --cilium-ebpf-project ./p", "image/generateBuildArgs", { bytecode });
  });
  test("one object for each platform, in the order of the platforms", async () => {
    const architectures = [
      ...["386-el", "amd64-el", "arm-el", "arm64-el", "loong64-el", "mips-eb", "mipsle-el", "mips64-eb", "mips64le-el"],
      ...["ppc64-eb", "ppc64le-el", "riscv64-el", "s390x-eb"],
    ];
    const files = architectures.map((word) => ({ platform: `linux/${word.slice(0, -3)}`, file: `${word}.o` }));
    const flags = architectures.toReversed().flatMap((word) => [`--bc-${word}`, `${word}.o`]);
    await expectRequest(["image", "build", "-t", built.tag, ...flags], "image/build", {
      ...built,
      bytecode: { ...none, files },
    });
  });
  test("a Containerfile", async () => {
    await expectRequest("image build -t example.com/a:v1 -f Containerfile -r podman -b x.o", "image/build", {
      ...built,
      bytecode: { ...none, file: "x.o" },
      containerFile: "Containerfile",
      runtime: "podman",
    });
  });
  test.each([
    ["image build -b x.o", '"bpfman image build" needs --tag <TAG>'],
    ["image build -t a", "no bytecode file was given"],
    ["image generate-build-args -b x.o -c p", '"--bytecode <BYTECODE>" cannot be used with "--cilium-ebpf-project'],
    [
      "image build -t a -b x.o --bc-arm-el y.o",
      '"--bytecode <BYTECODE>" cannot be used with "--bc-arm-el <BC_ARM_EL>"',
    ],
    ["image build -t a -b x.o -f C -r nerdctl", 'invalid container runtime "nerdctl": must be one of docker, podman'],
    ["image build -t a -b x.o -r podman", '"--runtime <RUNTIME>" needs "--container-file <CONTAINER_FILE>"'],
  ])("and not %s", async (line, message) => {
    const run = await cli(line);
    expect(run).toMatchObject({ code: 2, out: "", calls: [] });
    expect(run.err).toStartWith(`error: ${message}`);
  });
});

describe("stats and metrics", () => {
  const all = { programIds: [], members: false };
  test.each([
    ["stats", all],
    ["stats 5 shop/count --members", { programIds: [5, "shop/count"], members: true }],
    ["stats --interval 500ms", { ...all, intervalMs: 500 }],
    ["stats --interval 1h", { ...all, intervalMs: 3_600_000 }],
    ["stats --interval=2", { ...all, intervalMs: 2000 }],
  ])("%s", async (line, request) => {
    const { calls, err } = await cli(line, { answer: () => ({ programs: [], not_counted: null }) });
    expect([err, calls.map((call) => [call.name, call.request])]).toEqual(["", [["program/stats", request]]]);
    expect(parse(SCHEMAS["program/stats"]!, request)).toEqual({ intervalMs: 1000, ...request });
  });
  test.each([
    ["stats --interval 0", 'invalid interval "0": must be from 1ms to 1h'],
    ["stats --interval 61m", 'invalid interval "61m": must be from 1ms to 1h'],
    ["stats --interval soon", 'invalid duration "soon"'],
    ["metrics --output jsno", 'invalid output "jsno": must be text, json, or the path of a file'],
  ])("and not %s", async (line, message) => {
    const run = await cli(line);
    expect(run).toMatchObject({ code: 2, out: "", calls: [] });
    expect(run.err).toStartWith(`error: ${message}`);
  });
  test.each([
    ["metrics", null],
    ["metrics -o json", null],
    ["metrics --output text", null],
    ["metrics --output ./json", "./json"],
    ["metrics -o /x/bpfman.prom", "/x/bpfman.prom"],
  ])("%s", async (line, output) => {
    const { calls } = await cli(line, { answer: () => ({ metrics: [], file: null }) });
    expect(calls.map((call) => [call.name, call.request])).toEqual([["metrics", { output }]]);
  });
});

describe("history", () => {
  const all = { programId: null, linkId: null, since: null, failed: false, limit: null };
  test.each([
    ["history", all],
    ["history --program 5 --link 6 --failed -n 10", { ...all, programId: 5, linkId: 6, failed: true, limit: 10 }],
    ["history --since 2026-01-31", { ...all, since: "2026-01-31T00:00:00.000Z" }],
    ["history --since 2026-01-31T12:30", { ...all, since: "2026-01-31T12:30:00.000Z" }],
    ["history --since 2026-01-31T12:30:15+0200 --limit=1", { ...all, since: "2026-01-31T10:30:15.000Z", limit: 1 }],
  ])("%s", async (line, request) => expectRequest(line, "history/list", request));

  test("a duration is how long ago", async () => {
    for (const [words, ms] of [
      ["90s", 90_000],
      ["1h30m", 5_400_000],
      ["2d", 172_800_000],
      ["1d12h", 129_600_000],
    ] as const) {
      const before = Date.now();
      const { calls } = await cli(["history", "--since", words], { answer: () => ({ operations: [] }) });
      const since = new Date(String((calls[0]?.request as { since?: string })?.since)).getTime() + ms;
      expect(since).toBeGreaterThanOrEqual(before);
      expect(since).toBeLessThanOrEqual(Date.now());
    }
  });
  test.each(["foo", "2026-13-01", "2026-01-31T25:00", "1x", "1h2d"])("no time: %s", async (words) => {
    const { code, err, calls } = await cli(["history", "--since", words]);
    expect([code, calls.length]).toEqual([2, 0]);
    expect(err).toStartWith(`error: invalid time "${words}"\nhint: give how long ago, as in 30m, 1h or 2d, or a time`);
  });
});
