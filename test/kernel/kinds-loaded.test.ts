/**
 * Programs of every kind that can be loaded, by what their sections say: the kernel has them with the right types, and they
 * are listed, pinned and unloaded like any other. What runs those that bpfman does not attach can be given their pins, or
 * for maps their IDs.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { missingFeature } from "../labs/kernel-feature.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { bpftool, cable, counters, sh, until } from "../labs/kernel-lab.ts";
import { compileBpf } from "../objects/compile.ts";
import type { CheckAnswer } from "../../src/domain/check-answer.ts";
import { readObject } from "../../src/object/object-file.ts";

buildBpf();
const object = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const EVERY_KIND = object("every_kind");
const SECTIONS = new Map(readObject(readFileSync(EVERY_KIND)).programs.map(({ name, section }) => [name, section]));

const bpfman = executable();

/** By the name of the program without `on_`: bpfman's type, and bpftool's. */
const TYPES: readonly (readonly [name: RegExp, type: string, kernel: string])[] = [
  [/^raw_(tp|tracepoint)_w$/, "raw_tp", "raw_tracepoint_writable"],
  [/^raw_(tp|tracepoint)$/, "raw_tp", "raw_tracepoint"],
  [/^perf_event$/, "perf_event", "perf_event"],
  [/^kprobe_multi$/, "kprobe.multi", "kprobe"],
  [/^kretprobe_multi$/, "kretprobe.multi", "kprobe"],
  [/^kprobe_session$/, "kprobe.session", "kprobe"],
  [/^uprobe_multi(_s)?$/, "uprobe.multi", "kprobe"],
  [/^uretprobe_multi(_s)?$/, "uretprobe.multi", "kprobe"],
  [/^uprobe_session(_s)?$/, "uprobe.session", "kprobe"],
  [/^usdt(_s)?$/, "usdt", "kprobe"],
  [/^cgroup_skb/, "cgroup_skb", "cgroup_skb"],
  [/^cgroup_(sock(_create|_release)?|post_bind.)$/, "cgroup_sock", "cgroup_sock"],
  [/^cgroup_(bind.|connect|sendmsg|recvmsg|getpeername|getsockname)/, "cgroup_sock_addr", "cgroup_sock_addr"],
  [/^cgroup_[gs]etsockopt$/, "cgroup_sockopt", "cgroup_sockopt"],
  [/^cgroup_sysctl$/, "cgroup_sysctl", "cgroup_sysctl"],
  [/^cgroup_dev$/, "cgroup_device", "cgroup_device"],
  [/^sockops$/, "sockops", "sock_ops"],
  [/^sk_lookup$/, "sk_lookup", "sk_lookup"],
  // bpftool may be older.
  [/^netfilter$/, "netfilter", "netfilter|32"],
  [/^xdp_(frags_)?devmap$/, "xdp_devmap", "xdp"],
  [/^xdp_(frags_)?cpumap$/, "xdp_cpumap", "xdp"],
  [/^netkit_/, "netkit", "sched_cls"],
  [/^socket_filter$/, "socket_filter", "socket_filter"],
  [/^sk_reuseport/, "sk_reuseport", "sk_reuseport"],
  [/^sk_msg$/, "sk_msg", "sk_msg"],
  [/^sk_skb/, "sk_skb", "sk_skb"],
  [/^flow_dissector$/, "flow_dissector", "flow_dissector"],
  [/^lwt_in$/, "lwt_in", "lwt_in"],
  [/^lwt_out$/, "lwt_out", "lwt_out"],
  [/^lwt_xmit$/, "lwt_xmit", "lwt_xmit"],
  [/^lwt_seg6local$/, "lwt_seg6local", "lwt_seg6local"],
  [/^lirc_mode2$/, "lirc_mode2", "lirc_mode2"],
  [/^syscall$/, "syscall", "syscall"],
  [/^tp_btf$/, "tp_btf", "tracing"],
  [/^fmod_ret/, "fmod_ret", "tracing"],
  [/^fsession/, "fsession", "tracing"],
  [/^iter/, "iter", "tracing"],
  [/^lsm_cgroup$/, "lsm_cgroup", "lsm"],
];
const typesOf = (name: string) => TYPES.filter(([pattern]) => pattern.test(name.replace(/^on_/, "")));

const [major = 0, minor = 0] = release().split(".").map(Number);
const isSince = (version: string) => {
  const [first = 0, second = 0] = version.split(".").map(Number);
  return major > first || (major === first && minor >= second);
};
const config = (): string => {
  const path = `/boot/config-${release()}`;
  if (existsSync(path)) return readFileSync(path, "utf8");
  return existsSync("/proc/config.gz") ? sh("zcat", "/proc/config.gz") : "";
};

/** What this kernel lacks, and so refuses. */
function isLacking(name: string): boolean {
  if (name === "on_netfilter") return !isSince("6.4");
  if (name.startsWith("on_fsession")) return !isSince("7.0");
  if (name.endsWith("_unix")) return !isSince("6.7");
  if (name === "on_lirc_mode2") return !config().includes("CONFIG_BPF_LIRC_MODE2=y");
  if (name.startsWith("on_fmod_ret")) return missingFeature("tracing") !== null;
  return name === "on_lsm_cgroup" && missingFeature("lsm") !== null;
}

const NAMES = [...SECTIONS.keys()];

const supported = NAMES.filter((name) => !isLacking(name));
/** The last program of each row, and so the sleepable one of several. To unload them takes the longest. */
const there = supported.filter(
  (name, at) => !supported.slice(at + 1).some((later) => typesOf(later)[0] === typesOf(name)[0]),
);

test("each section gives the program its type, whatever libbpf knows of it", async () => {
  expect(NAMES.filter((name) => typesOf(name).length !== 1)).toEqual([]);
  expect(supported.length).toBeGreaterThan(60);
  const words = ["check", EVERY_KIND, "--programs", ...supported.filter((name) => !there.includes(name))];
  const { files } = await bpfman.json<CheckAnswer>(...words);
  for (const { name, type, verdict } of files[0]?.programs ?? [])
    expect({ name, type, verdict }).toEqual({ name, type: typesOf(name)[0]?.[1] ?? "", verdict: "accepted" });
  const inspected = await bpfman.ok("inspect", EVERY_KIND);
  expect(inspected).toContain("probes of kernel functions at entry and return (Linux 6.10)");
  expect(inspected).toContain("probes of user functions at entry and return (Linux 6.13)");
});

test("one of each type is loaded, listed, pinned, and unloaded", async () => {
  expect(there.length).toBeGreaterThan(30);
  const words = ["-g", "STEP=0300000000000000", "-a", "kinds", "-m", "owner=me"];
  const programs = await bpfman.load(EVERY_KIND, "--programs", ...there, ...words);
  const inKernel = new Map(bpftool("prog", "show").map((each: { id: number }) => [each.id, each]));
  const map = mapOf(programs, "seen");
  for (const [at, name] of there.entries()) {
    const [, type, kernel = ""] = typesOf(name)[0] ?? [];
    const { record } = programs[at] ?? {};
    expect([name, record?.load.program_type]).toEqual([name, type]);
    expect(record?.load.program_name).toBe(name);
    const shown = inKernel.get(record?.program_id) as { type: string | number; map_ids: number[] } | undefined;
    expect([name, String(shown?.type)]).toEqual([name, expect.stringMatching(RegExp(`^(${kernel})$`))]);
    expect(shown?.map_ids).toContain(map);
  }
  const listed = await bpfman.programs();
  expect(listed.map(({ function_name }) => function_name)).toEqual(there);
  expect((await bpfman.ok("list", "programs", "-p", "sk_msg")).split("\n")[1]).toContain("sk_msg");
  expect((await bpfman.ok("list", "programs", "-p", "sock-ops")).trimEnd().split("\n")).toHaveLength(2);

  // One that runs anywhere: what its map and its global variable are.
  const filter = String(idOf(programs, "on_socket_filter"));
  const pin = `${bpfman.runtimeDir}/fs/prog_${filter}`;
  expect(bpftool("prog", "show", "pinned", pin)).toMatchObject({ id: Number(filter) });
  sh("sh", "-c", `head -c 64 /dev/zero | bpftool prog run pinned ${pin} data_in - repeat 4`);
  expect(counters(map)[0]).toBe(12);

  const program = idOf(programs, "on_sk_msg");
  const refusal = await bpfman.refused(
    1,
    "PROGRAM_TYPE_MISMATCH",
    "attach",
    String(program),
    "tracepoint",
    "-t",
    "a/b",
  );
  expect(refusal.message).toBe(`program ${program} is an sk_msg program, which bpfman only loads and pins`);
  expect(refusal.hint).toContain(`bpftool prog attach pinned ${bpfman.runtimeDir}/fs/prog_${program} msg_verdict`);
  await bpfman.ok("unload", ...programs.map(({ record }) => String(record?.program_id)));
  await bpfman.expectNothingLeft();
});

const LACKING = NAMES.filter(isLacking).filter((name) => !/_unix$/.test(name) || name === "on_cgroup_connect_unix");
test.skipIf(LACKING.length === 0)("what this kernel lacks is refused, and nothing is loaded with it", async () => {
  for (const name of LACKING) {
    const { code, error } = await bpfman.run(
      "load",
      "file",
      "--path",
      EVERY_KIND,
      "--programs",
      "on_socket_filter",
      name,
    );
    expect({ name, code, error }).toEqual({
      name,
      code: expect.any(Number),
      error: expect.stringContaining(`"${name}"`),
    });
    expect([name, code]).not.toEqual([name, 0]);
    expect([name, error]).toEqual([name, expect.stringContaining("hint: this ")]);
  }
  expect(await bpfman.programs()).toEqual([]);
});

describe("programs in maps", () => {
  const net = cable();

  /** In the namespace, since a devmap looks its interface up where the process is. */
  const inNamespace = (...words: string[]) => sh("nsenter", `--net=${net.netns}`, ...bpfman.command(...words));

  test("a devmap of interfaces alone says which values it takes", async () => {
    const source = `struct { __uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 1); __type(key, __u32);
      __type(value, __u32); } ports SEC(".maps");
      SEC("xdp") int to_port(void *ctx) { return bpf_redirect_map(&ports, 0, XDP_ABORTED); }`;
    writeFileSync(bpfman.path("ports.o"), compileBpf(source));
    await bpfman.load(bpfman.path("ports.o"), "--programs", "to_port");
    const none = await bpfman.refused(1, "INVALID_VALUE", "map", "update", "ports", "0", "2147483647");
    expect(none.message).toContain("it takes the index of an interface");
  });

  test("an entry of a devmap and one of a cpumap run the program that its ID names", async () => {
    const programs = await bpfman.load(object("redirects"), "--programs", "all");
    expect(programs.map(({ record }) => record?.load.program_type).sort()).toEqual([
      "xdp",
      "xdp",
      "xdp_cpumap",
      "xdp_devmap",
    ]);
    const id = (name: string) => idOf(programs, name);
    const passed = mapOf(programs, "passed");
    const value = (first: string, number: number, program: string) =>
      JSON.stringify({ [first]: number, prog_id: id(program) });
    // A program of another kind is refused by the kernel.
    const wrong = value("ifindex", net.ifindex, "to_device");
    for (const map of ["devices", "processors"]) {
      const refusal = await bpfman.refused(
        1,
        "INVALID_VALUE",
        "map",
        "update",
        map,
        "0",
        wrong.replace("ifindex", map === "devices" ? "ifindex" : "qsize"),
      );
      expect(refusal.message).toContain(`no program but one of type xdp_${map === "devices" ? "devmap" : "cpumap"}`);
    }

    const long = JSON.stringify({ qsize: 16_385 });
    const tooLong = await bpfman.refused(1, "INVALID_VALUE", "map", "update", "processors", "0", long);
    expect(tooLong.message).toContain("a queue size of at most 16384");

    inNamespace("map", "update", "devices", "0", value("ifindex", net.ifindex, "in_devmap"));
    inNamespace("map", "update", "processors", "0", value("qsize", 128, "in_cpumap"));
    expect(await bpfman.ok("map", "dump", "devices")).toContain(String(id("in_devmap")));
    // The same in other words.
    inNamespace("map", "update", "devices", "0", String(net.ifindex));
    expect(await bpfman.json("map", "lookup", "devices", "0")).toMatchObject({ value: { prog_id: 0 } });
    inNamespace("map", "update", "devices", "0", String(net.ifindex), "prog", "in_devmap");
    inNamespace("map", "update", "processors", "0", "128", "prog", String(id("in_cpumap")));
    for (const [map, at] of [
      ["devices", { ifindex: net.ifindex, prog_id: id("in_devmap") }],
      ["processors", { qsize: 128, prog_id: id("in_cpumap") }],
    ] as const)
      expect(await bpfman.json("map", "lookup", map, "0")).toMatchObject({ value: at });
    const onDevice = ["map", "update", "devices", "0"];
    const twice = await bpfman.refused(
      1,
      "INVALID_VALUE",
      ...onDevice,
      value("ifindex", net.ifindex, "in_cpumap"),
      "prog",
      "in_devmap",
    );
    expect(twice.message).toContain(`it names program ${id("in_cpumap")}, and "prog" ${id("in_devmap")}`);
    const noProgram = await bpfman.refused(
      1,
      "INVALID_VALUE",
      "map",
      "update",
      "passed",
      "0",
      "1",
      "prog",
      "in_devmap",
    );
    expect(noProgram).toMatchObject({
      message: expect.stringContaining("run no program"),
      hint: expect.stringContaining("devmaps"),
    });
    const half = await bpfman.refused(1, "INVALID_VALUE", "map", "update", "passed", "0");
    expect(half.message).toContain("has a key and a value, and only one of them is given");

    const where = ["xdp", "--iface", net.interface, "--netns", net.netns, "--priority", "50", "--xdp-mode", "skb"];
    const first = await bpfman.attach(id("to_device"), ...where);
    const [shown] = JSON.parse(sh("nsenter", `--net=${net.netns}`, "ip", "-j", "link", "show", net.interface));
    expect(shown.xdp).toMatchObject({ mode: 2 });
    expect(await bpfman.ok("get", "link", String(first.record.id))).toMatch(/XDP Mode: +skb/);
    // They go back where they came from.
    expect(net.ping(3)).toBe(0);
    await until(() => counters(passed)[0] === 3);

    const joined = await bpfman.refused(
      1,
      "INVALID_ATTACH",
      "attach",
      String(id("to_processor")),
      ...where.slice(0, -1),
      "drv",
    );
    expect(joined.message).toContain("its chain runs in mode skb");
    await bpfman.ok("detach", String(first.record.id));
    const second = await bpfman.attach(id("to_processor"), ...where);
    expect(net.ping(3)).toBe(3);
    expect(counters(passed)).toEqual([3, 3]);
    await bpfman.ok("detach", String(second.record.id));

    const native = await bpfman.attach(id("to_processor"), ...where.slice(0, -1), "drv");
    const [after] = JSON.parse(sh("nsenter", `--net=${net.netns}`, "ip", "-j", "link", "show", net.interface));
    expect(after.xdp).toMatchObject({ mode: 1 });
    await bpfman.ok("detach", String(native.record.id));
    const offload = await bpfman.refused(
      1,
      "KERNEL_UNSUPPORTED",
      "attach",
      String(id("to_device")),
      ...where.slice(0, -1),
      "hw",
    );
    expect(offload.message).toContain("programs cannot be offloaded to the network card");
  });
});
