import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { objectForLibbpf, readObject } from "../../src/object/object-file.ts";
import type { ObjectToLoad } from "../../src/platform/kernel.ts";
import { pinAt, program, toLoad } from "../objects/bpf-fixture.ts";
import { compileBpf } from "../objects/compile.ts";
import { bpftool, heldPrograms, inKernel, temporaryBpffs, until } from "../labs/kernel-lab.ts";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

const bpffs = temporaryBpffs();
const kernel = openKernel();

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** The error of a load that must fail, and nothing left by it. */
async function refusal(object: ObjectToLoad) {
  const before = heldPrograms();
  const failure = await kernel.load(object).then(
    (loaded) => {
      loaded.close();
      return null;
    },
    (thrown) => thrown,
  );
  expect(heldPrograms()).toEqual(before);
  return failure;
}

describe("load", () => {
  test("loads the programs named and no other, and what it says agrees with bpftool", async () => {
    const loaded = await kernel.load(toLoad("counters", "tracepoint:count_opens", "tcx:count_packets"));
    expect(loaded.programs.map((entry) => entry.name)).toEqual(["count_opens", "count_packets"]);
    for (const { name, kernel: info } of loaded.programs) {
      const shown = bpftool("prog", "show", "id", String(info.id));
      expect(shown).toMatchObject({
        name: info.name,
        tag: info.tag,
        gpl_compatible: info.gplCompatible,
        uid: info.uid,
        bytes_xlated: info.xlatedSize,
        bytes_jited: info.jitedSize,
        bytes_memlock: info.memlock,
        map_ids: [...info.mapIds],
        btf_id: info.btfId,
      });
      expect(info.name).toBe(name);
      expect(Math.abs(info.loadedAt.getTime() / 1000 - shown.loaded_at)).toBeLessThan(2);
      expect(info.verifiedInstructions).toBeGreaterThan(5);
      expect(info.restricted).toBe(false);
      expect(kernel.programIds()).toContain(info.id);
      expect(kernel.program(info.id)).toMatchObject({ id: info.id, tag: info.tag, mapIds: info.mapIds });
    }
    loaded.close();
    for (const { kernel: info } of loaded.programs) {
      expect(kernel.program(info.id)).toBeNull();
      expect(inKernel("prog", info.id)).toBe(false);
    }
  });

  test("knows all maps of a program that has many", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `map_${index}`);
    const maps = names.map(
      (
        name,
      ) => `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, int); }
        ${name} SEC(".maps");`,
    );
    // Without branches, of which old kernels walk each combination.
    const uses = names.map((name) => `done |= bpf_map_update_elem(&${name}, &zero, &zero, 0);`);
    const bytes = compileBpf(`${maps.join("\n")}
      SEC("tc") int many(struct __sk_buff *skb) { int zero = 0, done = 0; ${uses.join(" ")} return done; }`);
    const draft = { ...toLoad("counters"), ...objectForLibbpf(bytes, readObject(bytes), ["many"]) };
    const loaded = await kernel.load({ ...draft, name: "many", programs: [program("tc:many")] });
    const { id, mapIds } = loaded.programs[0]!.kernel;
    expect(mapIds).toHaveLength(names.length);
    expect([...mapIds]).toEqual(bpftool("prog", "show", "id", String(id)).map_ids);
    loaded.close();
  });

  test("says which maps the loaded programs use, with their full names", async () => {
    const loaded = await kernel.load(toLoad("counters", "tc:count_packets"));
    expect(loaded.maps).toEqual([
      { name: "event_counters_of_all", id: expect.any(Number), internal: false, reused: false },
      { name: ".rodata", id: expect.any(Number), internal: true, reused: false },
    ]);
    for (const { id } of loaded.maps) {
      const shown = bpftool("map", "show", "id", String(id));
      const info = kernel.map(id);
      expect(info).toMatchObject({
        name: shown.name,
        keySize: shown.bytes_key,
        valueSize: shown.bytes_value,
        maxEntries: shown.max_entries,
        flags: shown.flags,
        memlock: shown.bytes_memlock,
        frozen: shown.frozen === 1,
      });
    }
    loaded.close();
    await until(() => loaded.maps.every(({ id }) => kernel.map(id) === null));
  });

  test("writes globals into each kind of section", async () => {
    const sections = [".rodata", ".data", ".bss", ".rodata.custom", ".data.extra"];
    const globals = sections.map((section, index) => ({ section, offset: 0, bytes: u32(100 + index) }));
    const loaded = await kernel.load({ ...toLoad("maps", "tc:uses_all"), globals });
    for (const [index, section] of sections.entries()) {
      const map = loaded.maps.find((entry) => entry.name === section);
      expect(map).toMatchObject({ internal: true });
      const [{ value }] = bpftool("map", "dump", "id", String(map?.id));
      expect(Number(value[0])).toBe(100 + index);
    }
    loaded.close();
  });

  test("loads maps of each kind, and pins none of them by itself", async () => {
    const loaded = await kernel.load(toLoad("maps", "tc:uses_all"));
    const types = Object.fromEntries(loaded.maps.map(({ name, id }) => [name, kernel.map(id)?.type]));
    expect(types).toMatchObject({ per_cpu: 6, ring: 27, recent: 9, routes: 11, outer: 13, pinned_by_name: 2 });
    // What stands in `outer` from the start can be found by its name as well.
    expect(types).toHaveProperty("inner", 2);
    expect(readdirSync(bpffs.path())).toEqual([]);
    loaded.close();
  });

  test("takes section names of every spelling, and functions that programs call", async () => {
    const names = ["tcx_named", "old_classifier", "first_of_two", "second_of_two", "not_by_itself", "custom_section"];
    const loaded = await kernel.load(toLoad("sections", ...names.map((name) => `tcx:${name}`), "xdp:with_frags"));
    expect(loaded.programs.map((entry) => entry.kernel.type)).toEqual([3, 3, 3, 3, 3, 3, 6]);
    loaded.close();
  });

  test("a pin keeps program and maps; a map can be taken over from its pin", async () => {
    const first = await kernel.load(toLoad("counters", "tc:count_packets"));
    first.pinProgram("count_packets", bpffs.path("program"));
    first.pinMap("event_counters_of_all", bpffs.path("map"));
    first.close();
    const id = first.maps[0]?.id;
    expect(kernel.program(first.programs[0]!.kernel.id)).not.toBeNull();
    expect(kernel.openPin(bpffs.path("nothing"))).toBeNull();

    const reuse = new Map([["event_counters_of_all", pinAt(kernel, bpffs.path("map"))]]);
    const second = await kernel.load({ ...toLoad("counters", "tracepoint:count_opens"), reuse });
    expect(second.maps[0]).toEqual({ name: "event_counters_of_all", id: id!, internal: false, reused: true });
    second.close();

    for (const [name, kind] of [
      ["program", "program"],
      ["map", "map"],
    ] as const) {
      const handle = kernel.openPin(bpffs.path(name));
      expect(handle?.kind).toBe(kind);
      bpffs.unpin(name);
      handle?.pin(bpffs.path(`${name}_again`));
      handle?.close();
      handle?.close();
    }
    expect(readdirSync(bpffs.path()).sort()).toEqual(["map_again", "program_again"]);
  });

  test("pins: what is there already, and what is no BPF file system", async () => {
    const loaded = await kernel.load(toLoad("counters", "tc:count_packets"));
    loaded.pinProgram("count_packets", bpffs.path("program"));
    const pinTo = (path: string) => () => loaded.pinProgram("count_packets", path);
    expect(pinTo(bpffs.path("program"))).toThrow(expect.objectContaining({ code: "STATE_CONFLICT" }));
    expect(pinTo("/tmp/bpfman-no-bpffs")).toThrow(expect.objectContaining({ code: "BPFFS_UNAVAILABLE" }));
    expect(pinTo(bpffs.path("no/directory"))).toThrow(expect.objectContaining({ code: "IO_FAILED" }));
    expect(() => kernel.openPin("/etc/passwd")).toThrow(expect.objectContaining({ code: "STATE_CONFLICT" }));
    loaded.close();
  });

  test("Debian's xdp-tools objects load", async () => {
    const directory = `/usr/lib/${OWN_MULTIARCH}/bpf`;
    for (const name of readdirSync(directory)) {
      const bytes = readFileSync(join(directory, name));
      // Functions in sections that name no type are programs of xdpdump: fentry and fexit by another name.
      const names = readObject(bytes).programs.flatMap((entry) => (entry.kind === "xdp" ? [`xdp:${entry.name}`] : []));
      const loaded = await kernel.load({
        bytes,
        name,
        programs: names.map(program),
        globals: [],
        reuse: new Map(),
        alongside: [],
      });
      expect(loaded.programs.length).toBe(names.length);
      loaded.close();
    }
  });
});

describe("load rejects", () => {
  test("what the verifier rejects, with its whole log", async () => {
    const failure = await refusal(toLoad("refused", "tc:harmless", "tc:reads_null"));
    expect(failure).toMatchObject({
      code: "VERIFIER_REJECTED",
      message: `load program "reads_null": the verifier rejected it: R0 invalid mem access 'map_value_or_null'`,
      details: { program: "reads_null" },
      sys: { name: "EACCES" },
    });
    expect(failure.verifierLog).toContain("R0 invalid mem access 'map_value_or_null'\n");
    expect(failure.verifierLog).toMatch(/^0: /);
    expect(failure.verifierLog).toMatch(/processed \d+ insns/);
  });

  test("but not because of a bad program that was not asked for", async () => {
    expect(await refusal(toLoad("refused", "tc:harmless"))).toBeNull();
  });

  test("what is no object, in libbpf's words", async () => {
    const failure = await refusal({ ...toLoad("counters", "tc:x"), bytes: new TextEncoder().encode("not an object") });
    expect(failure).toMatchObject({ code: "LOAD_FAILED", sys: { name: "LIBBPF_ERRNO__FORMAT" } });
    expect(failure.message).toContain("not a proper ELF object");
  });

  test("a program that is not there", async () => {
    expect(await refusal(toLoad("counters", "tc:nobody"))).toMatchObject({ code: "FUNCTION_NOT_FOUND" });
  });

  test("a kernel function that BTF does not have", async () => {
    const failure = await refusal(toLoad("sections", "fentry:traces_entry:no_such_function"));
    expect(failure).toMatchObject({ code: "SYMBOL_NOT_FOUND" });
    expect(failure.message).toContain('"no_such_function"');
  });

  test("a global that does not lie in its section", async () => {
    const outside = { section: ".rodata", offset: 4, bytes: u32(1) };
    const nowhere = { section: ".rodata.nowhere", offset: 0, bytes: u32(1) };
    for (const globals of [[outside], [nowhere], [{ ...outside, offset: -1 }]]) {
      expect(await refusal({ ...toLoad("counters", "tc:count_packets"), globals })).toMatchObject({
        code: "INVALID_GLOBAL",
      });
    }
  });

  test("a map to be shared that is not pinned, or of another shape", async () => {
    const object = toLoad("counters", "tc:count_packets");
    const missing = { ...object, reuse: new Map([["event_counters_of_all", pinAt(kernel, bpffs.path("missing"))]]) };
    expect(await refusal(missing)).toMatchObject({ code: "STATE_CONFLICT" });
    const unknown = { ...object, reuse: new Map([["no_such_map", pinAt(kernel, bpffs.path("missing"))]]) };
    expect(await refusal(unknown)).toMatchObject({ code: "LOAD_FAILED" });
  });

  test("maps that the kernel cannot make, by name", async () => {
    const failure = await refusal(toLoad("huge", "tc:fills"));
    expect(failure).toMatchObject({ code: "LOAD_FAILED" });
    expect(failure.message).toContain("much_too_large");
  });
});
