/**
 * Programs that are members of a struct of the kernel's hooks, here of a congestion control: they are loaded with the map of
 * their struct, from whose pins another process can register it.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { MapElements } from "../../ffi/safe/map-elements.ts";
import { withObject } from "../../ffi/safe/bpf.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import { type Btf, btfOf, KIND, memberPosition, membersOf, typeOf } from "../../src/object/btf.ts";
import { executable, idOf } from "../labs/executable.ts";
import { bpftool, inKernel, until } from "../labs/kernel-lab.ts";
import { compileBpf } from "../objects/compile.ts";

const bpfman = executable();
const [major = 0, minor = 0] = release().split(".").map(Number);
const isSince = (version: number): boolean => major > 6 || (major === 6 && minor >= version);
const hasLinks = isSince(4);

const NAME = `bpfman${process.pid}`;
const HOOKS = `struct tcp_congestion_ops {
    __u32 (*ssthresh)(void *sk); void (*cong_avoid)(void *sk, __u32 ack, __u32 acked);
    __u32 (*undo_cwnd)(void *sk); char name[16]; };
  SEC("struct_ops") __u32 on_ssthresh(unsigned long long *ctx) { return 10; }
  SEC("struct_ops/cong_avoid") int on_cong_avoid(unsigned long long *ctx) { return 0; }
  SEC("SLEEPABLE") __u32 on_undo(unsigned long long *ctx) { return 10; }
  SEC("SECTION") struct tcp_congestion_ops hooks = { .ssthresh = (void *)on_ssthresh,
    .cong_avoid = (void *)on_cong_avoid, .undo_cwnd = (void *)on_undo, .name = "${NAME}" };`;
const PASS = 'SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }';
const UNKNOWN = `struct no_such_ops { int (*call)(void); };
  SEC("struct_ops") int on_call(unsigned long long *ctx) { return 0; }
  SEC("SECTION") struct no_such_ops unknown = { .call = (void *)on_call };`;

function object(source: string, section = ".struct_ops", sleepable = "struct_ops"): string {
  const path = bpfman.path("hooks.o");
  writeFileSync(path, compileBpf(source.replaceAll("SECTION", section).replaceAll("SLEEPABLE", sleepable)));
  return path;
}

const MEMBERS = ["on_ssthresh", "on_cong_avoid", "on_undo"];
const controls = (): string[] =>
  readFileSync("/proc/sys/net/ipv4/tcp_available_congestion_control", "utf8").trim().split(" ");
const structMaps = (): { id: number; name: string; flags: number }[] =>
  bpftool("map", "show").filter(({ name }: { name?: string }) => name === "hooks");

function structNamed(btf: Btf, name: string) {
  for (const id of btf.places.keys()) {
    const type = typeOf(btf, id);
    if (type.kind === KIND.struct && btf.strings.name(type.nameAt) === name) return type;
  }
  throw new Error(`the kernel has no struct "${name}"`);
}

/** The value that registers the struct: its members hold the descriptors of programs (kernel/bpf/bpf_struct_ops.c). */
function valueWith(members: Readonly<Record<string, number>>): Uint8Array {
  const btf = btfOf(readFileSync("/sys/kernel/btf/vmlinux"), (reason) => new BpfmanError("INVALID_OBJECT", reason));
  const placeIn = (struct: string) => {
    const type = structNamed(btf, struct);
    const places = membersOf(type).map((member): [string, number] => [
      btf.strings.name(btf.types.u32(member)),
      memberPosition(btf, type, member).at / 8,
    ]);
    return { size: type.sizeOrType, places: new Map(places) };
  };
  const value = placeIn("bpf_struct_ops_tcp_congestion_ops");
  const { places } = placeIn("tcp_congestion_ops");
  const start = value.places.get("data") ?? 0;
  const bytes = new Uint8Array(value.size);
  for (const [name, fd] of Object.entries(members))
    new DataView(bytes.buffer).setBigUint64(start + (places.get(name) ?? 0), BigInt(fd), true);
  bytes.set(new TextEncoder().encode(NAME), start + (places.get("name") ?? 0));
  return bytes;
}

describe.each([
  [".struct_ops", "struct_ops"],
  ["?.struct_ops", isSince(3) ? "struct_ops.s" : "struct_ops"],
])("in section %s with %s", (section, sleepable) => {
  test("all its programs are loaded with it, listed, shown and unloaded", async () => {
    const programs = await bpfman.load(object(`${HOOKS}\n${PASS}`, section, sleepable), "--programs", "all");
    const types = programs.map(({ record }) => [record?.load.program_name, record?.load.program_type]);
    expect(types.toSorted()).toEqual([...MEMBERS.map((name) => [name, "struct_ops"]), ["pass", "xdp"]].toSorted());
    const id = idOf(programs, "on_undo");
    expect(bpftool("prog", "show", "id", String(id))).toMatchObject({ type: "struct_ops", name: "on_undo" });
    const [map] = structMaps();
    expect(map?.flags).toBe(0);
    const pin = `${bpfman.runtimeDir}/fs/maps/${programs[0]?.record?.program_id}/hooks`;
    expect(bpftool("map", "show", "pinned", pin)).toMatchObject({ id: map?.id });
    expect(await bpfman.ok("get", "program", "on_undo")).toContain(pin.replace(/\/hooks$/, ""));
    expect(await bpfman.ok("map", "list")).toMatch(/ hooks +structopsmap /);
    const refusal = await bpfman.refused(1, "PROGRAM_TYPE_MISMATCH", "attach", "on_undo", "tracepoint", "-t", "a/b");
    expect(refusal.hint).toContain("registered the struct");
    await bpfman.ok("unload", ...programs.map(({ record }) => String(record?.program_id)));
    await until(() => !inKernel("map", map?.id ?? 0));
    await bpfman.expectNothingLeft();
  });
});

test("a process registers the struct with what was loaded, and the kernel offers the congestion control", async () => {
  const programs = await bpfman.load(object(HOOKS), "--programs", ...MEMBERS);
  const [map] = structMaps();
  const open = <T>(name: string, work: (fd: number) => T): T | null =>
    withObject("program", idOf(programs, name), work);
  open("on_ssthresh", (ssthresh) =>
    open("on_cong_avoid", (avoid) =>
      open("on_undo", (undo) =>
        withObject("map", map?.id ?? 0, (fd) => {
          const value = valueWith({ ssthresh, cong_avoid: avoid, undo_cwnd: undo });
          const struct = new MapElements(fd, { keyBytes: 4, valueBytes: value.length });
          struct.update(new Uint8Array(4), value, "any");
          expect(controls()).toContain(NAME);
          struct.delete(new Uint8Array(4));
        }),
      ),
    ),
  );
  await until(() => !controls().includes(NAME));
  await bpfman.ok("unload", ...MEMBERS);
  await bpfman.expectNothingLeft();
});

test("a member that is loaded later shares the struct, and other structs are left out", async () => {
  const path = object(`${HOOKS}\n${UNKNOWN}`);
  const [first] = await bpfman.load(path, "--programs", "on_ssthresh");
  const owner = String(first?.record?.program_id);
  await bpfman.load(path, "--programs", "on_undo", "--map-owner-id", owner);
  expect(structMaps()).toHaveLength(1);
  const missing = await bpfman.refused(1, "LOAD_FAILED", "load", "file", "--path", path, "--programs", "on_call");
  expect(missing.message).toContain("no_such_ops");
  expect(await bpfman.ok("check", path, "--programs", "on_undo", "on_cong_avoid")).toContain("2 accepted");
  // What takes a program's place is loaded for the same struct.
  await bpfman.ok("program", "replace", "on_undo", "--path", path);
  expect(structMaps()).toHaveLength(1);
  await bpfman.ok("unload", "on_undo", "on_ssthresh");
  await bpfman.expectNothingLeft();
});

test("in section .struct_ops.link, the struct is for a link, which kernels before 6.4 refuse", async () => {
  const path = object(`${HOOKS}\n${PASS}`, ".struct_ops.link");
  if (!hasLinks) {
    const refusal = await bpfman.refused(1, "LOAD_FAILED", "load", "file", "--path", path, "--programs", ...MEMBERS);
    expect(refusal.hint).toContain("Linux 6.4");
  } else {
    await bpfman.load(path, "--programs", ...MEMBERS);
    expect(structMaps()).toMatchObject([{ flags: 1 << 13 }]);
    await bpfman.ok("unload", ...MEMBERS);
  }
  // Whoever loads something else of the object needs none of it.
  await bpfman.load(path, "--programs", "pass");
  expect(structMaps()).toEqual([]);
  await bpfman.ok("unload", "pass");
  await bpfman.expectNothingLeft();
});

test("what libbpf would not find, or not load at once, is refused with the reason", async () => {
  const lonely = object(`SEC("struct_ops") int lonely(unsigned long long *ctx) { return 0; }\n${PASS}`);
  const alone = await bpfman.refused(1, "INVALID_OBJECT", "load", "file", "--path", lonely, "--programs", "lonely");
  expect(alone.message).toContain('program "lonely" is not a member of a struct in section ".struct_ops"');
  const both = object(`${HOOKS}\n${UNKNOWN.replace("SECTION", ".struct_ops.link")}`);
  const two = await bpfman.refused(1, "INVALID_OBJECT", "load", "file", "--path", both, "--programs", "all");
  expect(two.message).toContain("of which libbpf loads one at a time");
});
