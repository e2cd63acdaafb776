/** bpfman without uid 0, and uid 0 without capabilities: real processes that setpriv(1) starts. */
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, cpSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { mountBpffs } from "../../ffi/safe/mount.ts";
import type { CheckAnswer } from "../../src/domain/check-answer.ts";
import type {
  DoctorAnswer,
  LinkAnswer,
  LinkListAnswer,
  LoadAnswer,
  MapListAnswer,
  MapStatusAnswer,
  ProgramListAnswer,
} from "../../src/domain/answer.ts";
import { cgroupLab } from "../labs/cgroup-lab.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { BPFMAN, executable, type Failure, mapOf } from "../labs/executable.ts";
import { bpftool, cable, counters, inKernel, sh, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";

const FIXTURES = resolve(import.meta.dir, "../../dist/bpf/fixtures");
const NOBODY = 65534;

// Registered first, so it is done before the lab unloads what is left, as root.
cleanUpAfterEach(() => void sh("chown", "-R", "0:0", bpfman.runtimeDir));
const bpfman = executable();
const lab = cable();
const cgroups = cgroupLab();

/** A place that nobody can reach, with a bpffs of nobody's, as root would prepare it for a service. */
beforeEach(() => {
  chmodSync(dirname(bpfman.runtimeDir), 0o755);
  cpSync(BPFMAN, bpfman.path("bpfman"));
  for (const name of ["life", "kinds", "cgroup", "every_kind", "map_values"])
    cpSync(join(FIXTURES, `${name}.bpf.o`), bpfman.path(`${name}.bpf.o`));
});

function delegate(uid = NOBODY): void {
  const fs = join(bpfman.runtimeDir, "fs");
  mkdirSync(fs, { mode: 0o700 });
  mountBpffs(fs);
  for (const path of [bpfman.runtimeDir, fs]) chownSync(path, uid, uid);
}

const listOf = (capabilities: readonly string[]) => ["-all", ...capabilities.map((name) => `+${name}`)].join(",");

/** Words of setpriv for a user with exactly these capabilities, as a service has them. */
function userWith(capabilities: readonly string[]): string[] {
  const list = listOf(capabilities);
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  return [...user, `--inh-caps=${list}`, `--ambient-caps=${list}`, `--bounding-set=${list}`];
}

/** Root in a container that allows no more than these. */
const rootWith = (capabilities: readonly string[]): string[] => [`--bounding-set=${listOf(capabilities)}`];

function runAs(privileges: readonly string[], ...words: readonly string[]) {
  const [, ...rest] = bpfman.command(...words);
  const command = ["nsenter", `--net=${lab.netns}`, "setpriv", ...privileges, bpfman.path("bpfman"), ...rest];
  const result = Bun.spawnSync(command, { cwd: "/", env: {}, stdout: "pipe", stderr: "pipe" });
  return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
}

function jsonAs<T>(privileges: readonly string[], ...words: readonly string[]): T {
  const { code, out, error } = runAs(privileges, ...words, "-o", "json");
  expect({ words, code, error }).toEqual({ words, code: 0, error: "" });
  return JSON.parse(out);
}

function refusedAs(privileges: readonly string[], ...words: readonly string[]): Failure {
  const { code, out, error } = runAs(privileges, ...words, "-o", "json", "--error-format", "json");
  expect({ words, out: out.replace(/^\{\n {2}"(unloaded|detached)": \[\]\n\}\n$/, "") }).toEqual({ words, out: "" });
  const failure = (JSON.parse(error) as { readonly error: Failure }).error;
  expect({ words, code, message: failure.message }).toMatchObject({
    words,
    code: failure.kind === "permission" ? 4 : 5,
  });
  return failure;
}

const object = (name: string) => bpfman.path(`${name}.bpf.o`);
const load = (privileges: readonly string[], name: string, program: string): LoadAnswer =>
  jsonAs(privileges, "load", "file", "--path", object(name), "--programs", program);
const idOf = ({ programs: [program] }: LoadAnswer): string => String(program?.record?.program_id);

const ON_VETH = ["-i", "veth0", "-p", "50"];
const HOOKS: Readonly<Record<string, readonly string[]>> = {
  xdp: ["xdp", ...ON_VETH],
  tc: ["tc", ...ON_VETH, "-d", "ingress"],
  tcx: ["tcx", ...ON_VETH, "-d", "ingress"],
};

const NETWORK = ["bpf", "net_admin"];

tcxTest("with CAP_BPF and CAP_NET_ADMIN, a user loads, attaches, lists, detaches and unloads", async () => {
  delegate();
  const user = userWith(NETWORK);
  const loaded = load(user, "life", "tcx:count");
  const id = idOf(loaded);
  expect(loaded.programs[0]?.status.kernel).toMatchObject({ id: Number(id), uid: NOBODY, name: "count" });
  const link: LinkAnswer = jsonAs(user, "attach", id, ...(HOOKS.tcx ?? []));
  const counted = counters(mapOf(loaded.programs, "counters"));
  expect(lab.ping(3)).toBe(3);
  expect(counters(mapOf(loaded.programs, "counters"))).not.toEqual(counted);
  expect(link.status).toMatchObject({ kernel_seen: true });

  expect(jsonAs<ProgramListAnswer>(user, "list", "programs").programs).toMatchObject([
    { program_id: Number(id), links: [link.record.id], state: null },
  ]);
  expect(jsonAs<LinkListAnswer>(user, "list", "links").links).toHaveLength(1);
  expect(jsonAs<LoadAnswer["programs"][0]>(user, "get", "program", id).status.maps).not.toEqual([]);
  expect(jsonAs<LinkAnswer>(user, "get", "link", String(link.record.id)).record).toEqual(link.record);

  jsonAs(userWith(["bpf"]), "detach", String(link.record.id));
  expect(bpftool("link").filter((each: { prog_id: number }) => each.prog_id === Number(id))).toEqual([]);
  jsonAs(userWith(["bpf"]), "unload", id);
  await until(() => !inKernel("prog", Number(id)));
});

test.each(["xdp", "tc"])("likewise for %s", async (kind) => {
  delegate();
  const user = userWith(NETWORK);
  const id = idOf(load(user, "kinds", `${kind}:count_${kind}`));
  const link: LinkAnswer = jsonAs(user, "attach", id, ...(HOOKS[kind] ?? []));
  const [{ [kind]: seen }] = bpftoolNet();
  expect(JSON.stringify(seen)).toContain(`"id":${id}`);

  const without = refusedAs(userWith(["bpf"]), "detach", String(link.record.id));
  expect(without).toMatchObject({ code: "PERMISSION_DENIED", details: { missing: ["CAP_NET_ADMIN"] } });
  expect(jsonAs<LinkListAnswer>(user, "list", "links").links).toMatchObject([{ state: null }]);
  jsonAs(user, "unload", id);
  // Who has no CAP_SYS_ADMIN cannot see when the kernel has freed it.
  await until(() => !inKernel("prog", Number(id)));
});

test("likewise for a cgroup, and a network namespace", () => {
  delegate();
  const user = userWith(NETWORK);
  const cgroup = cgroups.make("user");
  const loaded: LoadAnswer = jsonAs(
    user,
    ...["load", "file", "--path", object("cgroup"), "--programs", "cgroup_sysctl:on_sysctl", "sk_lookup:on_lookup"],
  );
  const [sysctl = "", lookup = ""] = loaded.programs.map(({ record }) => String(record?.program_id));
  const onCgroup: LinkAnswer = jsonAs(user, "attach", sysctl, "cgroup", "--cgroup", cgroup);
  expect(onCgroup.status).toMatchObject({ kernel: { link_type: "cgroup" }, attachment: { present: true } });
  const inNetns: LinkAnswer = jsonAs(user, "attach", lookup, "sk_lookup");
  expect(inNetns.status).toMatchObject({ kernel: { link_type: "netns" }, attachment: { present: true } });
  const without = refusedAs(userWith(["bpf"]), "attach", lookup, "sk_lookup");
  expect(without).toMatchObject({ code: "PERMISSION_DENIED", details: { missing: ["CAP_NET_ADMIN"] } });
  jsonAs(userWith(["bpf"]), "detach", String(onCgroup.record.id));
  jsonAs(userWith(["bpf"]), "detach", String(inNetns.record.id));
  jsonAs(userWith(["bpf"]), "unload", sysctl);
  jsonAs(userWith(["bpf"]), "unload", lookup);
});

test.each([
  [[], ["socket_filter", "sk_reuseport", "syscall"]],
  [
    ["net_admin"],
    [
      "cgroup_skb",
      "cgroup_connect4",
      "sockops",
      "sk_lookup",
      "xdp_devmap",
      "netkit_peer",
      "sk_msg",
      "sk_skb",
      "lwt_in",
    ],
  ],
  [["perfmon"], ["raw_tp", "perf_event", "kprobe_multi", "usdt", "tp_btf", "iter"]],
])("with CAP_BPF and %j, a user loads the kinds that take no more", (more, names) => {
  delegate();
  const user = userWith(["bpf", ...more]);
  const words = ["load", "file", "--path", object("every_kind"), "--programs", ...names.map((name) => `on_${name}`)];
  const { programs } = jsonAs<LoadAnswer>(user, ...words);
  expect(programs).toHaveLength(names.length);
  jsonAs(user, "unload", ...programs.map(({ record }) => String(record?.program_id)));
  if (more.length > 0) {
    const missing = more.map((name) => `CAP_${name.toUpperCase()}`);
    expect(refusedAs(userWith(["bpf"]), ...words)).toMatchObject({ code: "PERMISSION_DENIED", details: { missing } });
  }
});

const bpftoolNet = () => JSON.parse(sh("nsenter", `--net=${lab.netns}`, "bpftool", "-j", "net"));

describe("each capability that is missing is named, and nothing is left", () => {
  const cases: [program: string, has: string[], missing: string[], what: string][] = [
    ["tcx:count_tcx", [], ["CAP_BPF"], '"bpfman load file"'],
    ["tcx:count_tcx", ["net_admin", "perfmon"], ["CAP_BPF"], '"bpfman load file"'],
    ["tcx:count_tcx", ["bpf", "perfmon"], ["CAP_NET_ADMIN"], "loading a TCX program"],
    ["tc:count_tc", ["bpf"], ["CAP_NET_ADMIN"], "loading a TC program"],
    ["xdp:count_xdp", ["bpf"], ["CAP_NET_ADMIN"], "loading an XDP program"],
    ["tracepoint:count_tracepoint", ["bpf", "net_admin"], ["CAP_PERFMON"], "loading a tracepoint program"],
    ["uprobe:count_uprobe", ["bpf", "net_admin"], ["CAP_PERFMON"], "loading a uprobe program"],
    ["kprobe:count_kprobe", ["bpf", "net_admin"], ["CAP_PERFMON"], "loading a kprobe program"],
  ];
  test.each(cases)("load %s with %p", (program, has, missing, what) => {
    delegate();
    const failure = refusedAs(userWith(has), "load", "file", "--path", object("kinds"), "--programs", program);
    expect(failure).toMatchObject({ code: "PERMISSION_DENIED", details: { missing } });
    expect(failure.message).toStartWith(
      `${what} needs root or ${missing.join(" and ")}: this process runs as user ${NOBODY}`,
    );
    expect(failure.hint).toBe(`run it with sudo, or as a service with AmbientCapabilities=${missing.join(" ")}`);
  });

  test("attach", () => {
    delegate();
    const id = idOf(load(userWith(NETWORK), "kinds", "xdp:count_xdp"));
    const failure = refusedAs(userWith(["bpf", "perfmon"]), "attach", id, ...(HOOKS.xdp ?? []));
    expect(failure).toMatchObject({ code: "PERMISSION_DENIED", details: { missing: ["CAP_NET_ADMIN"] } });
    expect(jsonAs<LinkListAnswer>(userWith(["bpf"]), "list", "links").links).toEqual([]);
  });

  test("check: without them the kernel refuses every program of the kind, which is no verdict on this one", () => {
    delegate();
    for (const [kept, word, missing] of [
      [["bpf"], "count_xdp", "CAP_NET_ADMIN"],
      [["bpf", "net_admin"], "count_uprobe", "CAP_PERFMON"],
    ] as const) {
      const failure = refusedAs(userWith(kept), "check", object("kinds"), "--programs", word);
      expect(failure).toMatchObject({ code: "PERMISSION_DENIED", details: { missing: [missing] } });
      expect(failure.message).toMatch(/^checking an? \S+ program needs /);
    }
    const [file] = jsonAs<CheckAnswer>(
      userWith(["bpf", "net_admin"]),
      "check",
      object("kinds"),
      "--programs",
      "count_xdp",
    ).files;
    expect(file?.programs.map(({ verdict }) => verdict)).toEqual(["accepted"]);
  });

  test("what only CAP_SYS_ADMIN may do: see what others loaded, enter a namespace, mount", () => {
    delegate();
    const user = userWith(NETWORK);
    const denied = { code: "PERMISSION_DENIED", details: { missing: ["CAP_SYS_ADMIN"] } };
    expect(refusedAs(user, "list", "programs", "--all")).toMatchObject(denied);
    expect(refusedAs(user, "get", "program", "999999999")).toMatchObject(denied);
    expect(refusedAs(user, "trace", "--for", "10ms")).toMatchObject({ code: "PERMISSION_DENIED" });
    const id = idOf(load(user, "kinds", "xdp:count_xdp"));
    expect(refusedAs(user, "attach", id, ...(HOOKS.xdp ?? []), "--netns", lab.netns)).toMatchObject(denied);
    jsonAs(user, "unload", id);
    const pinning = () =>
      (JSON.parse(runAs(user, "doctor", "-o", "json").out) as DoctorAnswer).notes.flatMap(({ what }) =>
        what.includes("EPERM") || what.includes("mount") ? [what] : [],
      );
    expect(pinning()).toEqual([]);
    sh("umount", join(bpfman.runtimeDir, "fs"));
    expect(pinning()).toEqual([expect.stringContaining("to mount one takes CAP_SYS_ADMIN")]);
    const unmounted = refusedAs(user, "load", "file", "--path", object("kinds"), "--programs", "xdp:count_xdp");
    expect(unmounted.code).toBe("BPFFS_UNAVAILABLE");
    expect(unmounted.hint).toContain("CAP_SYS_ADMIN");
  });
});

test("a pull takes none: the cache may be the user's own", () => {
  const nobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  const image = ["image", "pull", "-i", "localhost:1/none:v1", "-p", "Never", "--cache-dir", bpfman.path("cache")];
  delegate();
  expect(runAs(nobody, ...image).error).toContain("it is not in the cache");
});

describe("maps", () => {
  const FLOW = '{"saddr":"10.0.0.1","port":53,"zone":258}';
  const all = userWith([...NETWORK, "sys_admin"]);
  const USED = '{"packets":9007199254740993,"verdict":"DENY"}';

  test("are listed, read and changed by their types, as with CAP_SYS_ADMIN", () => {
    delegate();
    const user = userWith(NETWORK);
    const program = idOf(load(user, "map_values", "xdp:use_all"));
    const bpf = userWith(["bpf"]);
    const ok = (...words: string[]): string => {
      const { code, out, error } = runAs(bpf, "map", ...words);
      expect({ words, code, error }).toEqual({ words, code: 0, error: "" });
      return out;
    };
    ok("update", "flows", FLOW, USED);
    ok("update", "names", "eth0", "-5");
    ok("update", "routes4", "10.0.0.0/8", "7");
    ok("update", "per_cpu", "1", "18446744073709551615");
    ok("update", "jobs", FLOW);
    ok("update", "outer", "a", String(jsonAs<MapStatusAnswer>(bpf, "map", "get", "second").id));
    ok("update", "jumps", "2", program);
    for (const name of ["one", "two"]) ok("update", "recent", name === "one" ? "1" : "2", "1");
    ok("delete", "recent", "1");
    expect(ok("lookup", "names", "eth0")).toBe("-5\n");
    expect(ok("dump", "recent")).toBe('{"key":2,"value":1}\n');
    ok("clear", "recent");
    expect(ok("dump", "recent")).toBe("");

    const { maps } = jsonAs<MapListAnswer>(bpf, "map", "list");
    const expected = jsonAs<MapListAnswer>(all, "map", "list").maps.filter(({ pins }) => pins.length > 0);
    expect(maps).toEqual(expected);
    expect(maps.length).toBeGreaterThan(15);
    for (const { name } of maps) {
      const { out, error, code } = runAs(all, "map", "dump", name);
      expect({ name, ...runAs(bpf, "map", "dump", name) }).toEqual({ name, out, error, code });
    }
    expect(jsonAs<MapStatusAnswer>(bpf, "map", "get", "flows")).toEqual(jsonAs(all, "map", "get", "flows"));
    expect(ok("dump", "flows")).toContain('"verdict":"DENY"');
    const [
      {
        pins: [pin = ""],
      } = { pins: [] },
    ] = maps.filter(({ name }) => name === "flows");
    expect(ok("dump", pin)).toBe(ok("dump", `${program}/flows`));
  });

  test("without a pin, or of others, need CAP_SYS_ADMIN, and say so", () => {
    delegate();
    const user = userWith(NETWORK);
    const program = idOf(load(user, "map_values", "xdp:use_all"));
    const denied = { code: "PERMISSION_DENIED", details: { missing: ["CAP_SYS_ADMIN"] } };
    const { maps } = jsonAs<MapListAnswer>(all, "map", "list", "--all");
    const globals = maps.find(({ name }) => name === ".data")?.id ?? 0;
    const pin = join(bpfman.runtimeDir, "others");
    mkdirSync(pin);
    mountBpffs(pin);
    try {
      const others = join(pin, "others");
      sh(
        "bpftool",
        "map",
        "create",
        others,
        "type",
        "hash",
        "key",
        "4",
        "value",
        "2",
        "entries",
        "5",
        "name",
        "others",
      );
      const { id } = bpftool("map", "show", "pinned", others);
      for (const named of [String(globals), `${program}/.data`, String(id), "4294967295", "others"]) {
        const verbs = [["get"], ["dump"], ["lookup", "1"], ["update", "1", "1"], ["delete", "1"], ["clear"]];
        for (const [verb = "", ...rest] of verbs) {
          const failure = refusedAs(user, "map", verb, named, ...rest);
          expect({ verb, named, ...failure }).toMatchObject(denied);
          expect(failure.hint).toContain("CAP_SYS_ADMIN");
        }
      }
      expect(refusedAs(user, "map", "list", "--all")).toMatchObject(denied);
    } finally {
      sh("umount", pin);
    }
  });

  test("show bytes where the saved bytecode is lost", () => {
    delegate();
    const user = userWith(NETWORK);
    load(user, "map_values", "xdp:use_all");
    sh("rm", bpfman.copyOf(join(FIXTURES, "map_values.bpf.o")));
    expect(runAs(user, "map", "update", "names", "6574683000000000", "fbff")).toMatchObject({ code: 0, error: "" });
    expect(runAs(user, "map", "dump", "names").out).toBe('{"key":"6574683000000000","value":"fbff"}\n');
    expect(runAs(all, "map", "dump", "names").out).toBe('{"key":"eth0","value":-5}\n');
  });
});

test("the events of a program of ours are read by its name, without looking among the maps of others", () => {
  delegate();
  cpSync(join(FIXTURES, "events.bpf.o"), bpfman.path("events.bpf.o"));
  // It computes the length of a packet from pointers.
  const user = userWith([...NETWORK, "perfmon"]);
  load(user, "events", "xdp:to_ring");
  expect(runAs(user, "events", "to_ring", "--for", "10ms")).toMatchObject({ code: 0 });
  const denied = { code: "PERMISSION_DENIED", details: { missing: ["CAP_SYS_ADMIN"] } };
  expect(refusedAs(user, "events", "no_such", "--for", "10ms")).toMatchObject(denied);
});

test("root without the capabilities is told to add them to the container", () => {
  const failure = refusedAs(
    rootWith(["bpf", "sys_chroot"]),
    "load",
    "file",
    "--path",
    object("kinds"),
    "--programs",
    "xdp:count_xdp",
  );
  expect(failure.code).toBe("PERMISSION_DENIED");
  expect(failure.message).toBe(
    "loading an XDP program needs CAP_NET_ADMIN: this process runs as root with only CAP_BPF",
  );
  expect(failure.hint).toContain("--cap-add=NET_ADMIN");
  const none = refusedAs(rootWith([]), "list", "programs");
  expect(none.message).toBe(
    '"bpfman list programs" needs CAP_BPF: this process runs as root with no capability for BPF',
  );
});

test("root with no more than these works as a user does", () => {
  delegate(0);
  const root = rootWith(NETWORK);
  const id = idOf(load(root, "kinds", "xdp:count_xdp"));
  const link: LinkAnswer = jsonAs(root, "attach", id, ...(HOOKS.xdp ?? []));
  jsonAs(root, "detach", String(link.record.id));
  jsonAs(root, "unload", id);
});

test("a program that lost its pin is not taken for gone by who cannot look for it", () => {
  delegate();
  const user = userWith(NETWORK);
  const id = idOf(load(user, "kinds", "xdp:count_xdp"));
  const link: LinkAnswer = jsonAs(user, "attach", id, ...(HOOKS.xdp ?? []));
  sh("rm", join(bpfman.runtimeDir, "fs", `prog_${id}`));
  const { code, error } = runAs(user, "list", "programs");
  expect({ code, error }).toMatchObject({ code: 4, error: expect.stringContaining("CAP_SYS_ADMIN") });
  const other = idOf(
    JSON.parse(runAs(user, "load", "file", "--path", object("kinds"), "--programs", "xdp:count_xdp", "-o", "json").out),
  );
  expect(inKernel("prog", Number(id))).toBe(true);
  sh("chown", "-R", "0:0", bpfman.runtimeDir);
  expect(
    jsonAs<ProgramListAnswer>([], "list", "programs").programs.map(({ program_id }) => String(program_id)),
  ).toEqual([id, other]);
  expect(link.record.kernel_link_id).not.toBeNull();
});

test.each([
  ["file capabilities", ["setcap", "cap_bpf,cap_net_admin,cap_sys_admin=ep"]],
  ["setuid", ["chmod", "u+s"]],
] as [what: string, change: string[]][])(
  "an executable with %s refuses to work for anybody who runs it",
  (_what, change) => {
    delegate();
    sh(...change, bpfman.path("bpfman"));
    const failure = refusedAs([`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"], "list", "programs");
    expect(failure.message).toStartWith("the executable is setuid or has file capabilities");
    expect(runAs([`--reuid=${NOBODY}`, "--clear-groups"], "version")).toMatchObject({ code: 0, error: "" });
  },
);
