/** Object files from many sources: what the kernel can load loads; the rest give one clear message and leave no trace. */
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OBJECT_BYTES_MAX } from "../../src/domain/limits.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import { readObject } from "../../src/object/object-file.ts";
import { fixture } from "../objects/bpf-fixture.ts";
import { compileBpf } from "../objects/compile.ts";
import { executable, type Failure } from "../labs/executable.ts";
import { bpftool, sh } from "../labs/kernel-lab.ts";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

const bpfman = executable();
// Whatever a test of this file does to load, it leaves nothing behind.
afterEach(async () => {
  const loaded = await bpfman.programs();
  if (loaded.length > 0) await bpfman.ok("unload", ...loaded.map((program) => String(program.program_id)));
});

function write(name: string, bytes: Uint8Array | string): string {
  writeFileSync(bpfman.path(name), bytes);
  return bpfman.path(name);
}

const object = (source: string, ...flags: string[]): string => write("object.o", compileBpf(source, flags));

describe("beside a struct of kernel hooks", () => {
  const HOOKS = `struct tcp_congestion_ops { __u32 (*ssthresh)(void *sk); char name[16]; };
    SEC("struct_ops") int hook(unsigned long long *ctx) { return 10; }
    SEC("SECTION") struct tcp_congestion_ops hooks = { .ssthresh = (void *)hook, .name = "bpfman_test" };`;
  const PASS = 'SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }';

  test.each([".struct_ops", ".struct_ops.link", "?.struct_ops"])(
    "a program loads, with section %s",
    async (section) => {
      const path = object(`${HOOKS.replace("SECTION", section)}\n${PASS}`);
      const [program] = await bpfman.load(path, "--programs", "xdp:pass");
      expect(bpftool("prog", "show", "id", String(program?.record?.program_id))).toMatchObject({ name: "pass" });
      expect(program?.status.maps).toEqual([]);
    },
  );

  test("a map that says it is one is refused before libbpf, which dies of it, has it", async () => {
    const path = object(
      `struct { __uint(type, BPF_MAP_TYPE_STRUCT_OPS); __uint(max_entries, 1); __type(key, int); __type(value, int); } hooks SEC(".maps");\n${PASS}`,
    );
    const { message } = await bpfman.refused(
      1,
      "INVALID_OBJECT",
      "load",
      "file",
      "--path",
      path,
      "--programs",
      "xdp:pass",
    );
    expect(message).toContain('its map "hooks" is of type STRUCT_OPS');
  });
});

describe("xdp-tools of Debian", () => {
  const directory = `/usr/lib/${OWN_MULTIARCH}/bpf`;
  const names = readdirSync(directory).filter((name) => name.endsWith(".o"));

  test("there are such objects", () => {
    expect(names.length).toBeGreaterThan(10);
  });

  test.each(names)("%s", async (name) => {
    const path = join(directory, name);
    const { programs } = readObject(readFileSync(path));
    expect(programs.length).toBeGreaterThan(0);
    const selectors = programs.map(({ name: program, kind }) => {
      expect(kind).not.toBeNull();
      return kind === "fentry" || kind === "fexit" ? `${kind}:${program}:do_nanosleep` : `${kind}:${program}`;
    });
    const result = await bpfman.run("load", "file", "--path", path, "--programs", ...selectors, "-o", "json");
    if (name === "xdpdump_bpf.o" || (name === "xdp-dispatcher.o" && result.code !== 0)) {
      // xdpdump's programs are for a function of another BPF program, those of the kernel have other arguments; and a
      // dispatcher need not be fit to sit in a slot of another one. Some kernels let nobody do either.
      const { error }: { error: Failure } = JSON.parse(result.error);
      expect([1, 4]).toContain(result.code);
      expect(["VERIFIER_REJECTED", "KERNEL_REFUSED"]).toContain(error.code);
      expect(error.message).toMatch(/^load program "(trace_on_entry|trace_on_exit|xdp_dispatcher|xdp_pass)": /);
      if (error.code === "VERIFIER_REJECTED") expect(error.verifier_log).toMatch(/\w/);
      await bpfman.expectNothingLeft();
      return;
    }
    expect({ code: result.code, error: result.error }).toEqual({ code: 0, error: "" });
    const answer: { programs: { status: { kernel: { id: number; name: string } } }[] } = JSON.parse(result.out);
    expect(answer.programs).toHaveLength(programs.length);
    for (const { status } of answer.programs) {
      const shown = bpftool("prog", "show", "id", String(status.kernel.id));
      // An extension where the kernel can chain XDP programs.
      expect(["xdp", "ext"]).toContain(shown.type);
    }
  });
});

/** A map of each kind that needs something of its own; `main` uses it. */
const MAPS: Readonly<Record<string, { readonly types: readonly string[]; readonly source: string }>> = {
  "per-CPU array": {
    types: ["percpu_array"],
    source: `struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } m SEC(".maps");
      SEC("tc") int main_program(void *ctx) { __u32 key = 1; __u64 *v = bpf_map_lookup_elem(&m, &key); if (v) *v += 1; return 0; }`,
  },
  "per-CPU hash": {
    types: ["percpu_hash"],
    source: `struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 4); __type(key, __u64); __type(value, __u64); } m SEC(".maps");
      SEC("tc") int main_program(void *ctx) { __u64 key = 1; bpf_map_update_elem(&m, &key, &key, 0); return 0; }`,
  },
  "ring buffer": {
    types: ["ringbuf"],
    source: `struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 8192); } m SEC(".maps");
      SEC("tc") int main_program(void *ctx) { __u64 n = 1; bpf_ringbuf_output(&m, &n, 8, 0); return 0; }`,
  },
  "perf event array": {
    types: ["perf_event_array"],
    source: `struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } m SEC(".maps");
      SEC("tc") int main_program(struct __sk_buff *ctx) { __u64 n = 1; bpf_perf_event_output(ctx, &m, BPF_F_CURRENT_CPU, &n, 8); return 0; }`,
  },
  "LRU hash": {
    types: ["lru_hash"],
    source: `struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 4); __type(key, __u64); __type(value, __u64); } m SEC(".maps");
      SEC("tc") int main_program(void *ctx) { __u64 key = 1; bpf_map_update_elem(&m, &key, &key, 0); return 0; }`,
  },
  "LPM trie": {
    types: ["lpm_trie"],
    source: `struct prefix { __u32 bits; __u32 address; };
      struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 4); __type(key, struct prefix); __type(value, __u32); } m SEC(".maps");
      SEC("tc") int main_program(void *ctx) { struct prefix p = {8, 10}; return bpf_map_lookup_elem(&m, &p) != 0; }`,
  },
  "hash of maps": {
    types: ["hash_of_maps"],
    source: `struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } in SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 2); __type(key, __u32); __array(values, struct inner); } m SEC(".maps") = {.values = {[1] = &in}};
      SEC("tc") int main_program(void *ctx) { __u32 key = 1; void *i = bpf_map_lookup_elem(&m, &key); if (!i) return 0; key = 0; return bpf_map_lookup_elem(i, &key) != 0; }`,
  },
  "array of maps": {
    types: ["array_of_maps"],
    source: `struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, __u32); __array(values, struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3); __type(key, __u64); __type(value, __u64); }); } m SEC(".maps");
      SEC("tc") int main_program(void *ctx) { __u32 key = 1; return bpf_map_lookup_elem(&m, &key) != 0; }`,
  },
  ".bss, .data and .rodata": {
    types: ["array", "array", "array"],
    source: `__u64 seen; __u32 step = 3; const volatile __u32 wanted = 7;
      SEC("tc") int main_program(void *ctx) { seen += step + wanted; return 0; }`,
  },
};

describe("objects that clang compiles", () => {
  test.each(Object.entries(MAPS))("%s", async (_, { types, source }) => {
    const path = object(source);
    const [program] = await bpfman.load(path, "--programs", "tcx:main_program");
    const ids = program?.status.kernel?.map_ids ?? [];
    expect(ids.map((id) => bpftool("map", "show", "id", String(id)).type)).toEqual([...types]);
    const pins = `${bpfman.runtimeDir}/fs/maps/${program?.record?.program_id}`;
    // Maps with a name are pinned; those behind global variables are not.
    const named = existsSync(pins) ? readdirSync(pins).filter((name) => name !== "in") : [];
    expect(named).toEqual(types.length === 1 ? ["m"] : []);
  });

  const PLAIN = `SEC("tc") int main_program(void *ctx) { return 0; }`;
  const GLOBALS = `__u64 seen; __u32 step = 3; const volatile __u32 wanted = 7;
    SEC("tc") int main_program(void *ctx) { seen += step + wanted; return 0; }`;

  test("without BTF: programs alone and with global variables", async () => {
    for (const source of [PLAIN, GLOBALS]) {
      const [program] = await bpfman.load(object(source, "-g0"), "--programs", "tcx:main_program");
      expect(program?.status.kernel).toMatchObject({ has_btf_id: false, btf_id: 0 });
    }
    const [withBtf] = await bpfman.load(object(GLOBALS), "--programs", "tcx:main_program");
    expect(withBtf?.status.kernel).toMatchObject({ has_btf_id: true });
  });

  test("without BTF: global variables are set all the same, and maps are rejected", async () => {
    const path = object(GLOBALS, "-g0");
    const [program] = await bpfman.load(
      path,
      "--programs",
      "tcx:main_program",
      "-g",
      "wanted=2A000000",
      "step=05000000",
    );
    const values = (program?.status.maps ?? []).map(({ name, id }) => {
      const [{ value }] = bpftool("map", "dump", "id", String(id));
      return [name.replace(/^.*\./, ""), Number(value[0])];
    });
    expect(Object.fromEntries(values)).toEqual({ bss: 0, data: 5, rodata: 0x2a });

    const withMap = object(MAPS["LRU hash"]?.source ?? "", "-g0");
    const failure = await bpfman.refused(
      1,
      "INVALID_OBJECT",
      "load",
      "file",
      "-p",
      withMap,
      "--programs",
      "tcx:main_program",
    );
    expect(failure).toMatchObject({ message: expect.stringContaining("no BTF"), hint: "compile with clang -g" });
  });

  test("only what was asked for is loaded: a sibling that no kernel takes does not matter", async () => {
    const path = object(`${PLAIN} SEC("tc") int refused_program(void *ctx) { return *(volatile int *)0; }`);
    expect(await bpfman.load(path, "--programs", "tcx:main_program")).toHaveLength(1);
  });
});

describe("what is no object for this machine", () => {
  const source = `SEC("tc") int main_program(void *ctx) { return 0; }`;

  /** One message that begins with what was done, and exit code `exitCode`; nothing is left. */
  async function refused(path: string, exitCode: number, code: ErrorCode): Promise<string> {
    const words = ["load", "file", "--path", path, "--programs", "tcx:main_program"];
    const { message } = await bpfman.refused(exitCode, code, ...words);
    const { error } = await bpfman.run(...words);
    expect(error.match(/^error: /gm)).toHaveLength(1);
    expect(error).toStartWith(`error: ${message}\n`);
    expect(error).not.toContain("    at ");
    expect(error.split("\n").length).toBeLessThanOrEqual(3);
    await bpfman.expectNothingLeft();
    return message;
  }

  test("the other byte order", async () => {
    const big = readObject(compileBpf(source)).byteOrder === "little" ? "bpfeb" : "bpfel";
    const message = await refused(object(source, "-target", big), 1, "INVALID_OBJECT");
    expect(message).toMatch(/(big|little)-endian/);
  });

  test("an executable of this machine", async () => {
    const notBpf = await refused("/bin/true", 1, "INVALID_OBJECT");
    expect(notBpf).toMatch(/^cannot read object file ".*\/true": .*not for eBPF/);
  });

  test("a file that was cut off, wherever", async () => {
    const bytes = compileBpf(MAPS["hash of maps"]?.source ?? "");
    for (const part of [0.02, 0.3, 0.6, 0.95]) {
      await refused(write("cut.o", bytes.subarray(0, Math.floor(bytes.length * part))), 1, "INVALID_OBJECT");
    }
  });

  test("an empty file, text, random bytes", async () => {
    expect(await refused(write("empty.o", ""), 1, "INVALID_OBJECT")).toContain("cannot read object file");
    await refused(write("text.o", 'SEC("tc")\n'.repeat(100)), 1, "INVALID_OBJECT");
    await refused(write("random.o", crypto.getRandomValues(new Uint8Array(5000))), 1, "INVALID_OBJECT");
  });

  test("a file that is too large", async () => {
    const path = write("large.o", compileBpf(source));
    truncateSync(path, OBJECT_BYTES_MAX + 1);
    expect(await refused(path, 1, "FILE_UNREADABLE")).toContain(`${OBJECT_BYTES_MAX}`);
  });

  test("a directory, a FIFO, a device, nothing at all", async () => {
    mkdirSync(bpfman.path("directory.o"));
    expect(await refused(bpfman.path("directory.o"), 1, "FILE_UNREADABLE")).toContain("it is a directory");
    sh("mkfifo", bpfman.path("fifo.o"));
    expect(await refused(bpfman.path("fifo.o"), 1, "FILE_UNREADABLE")).toContain("not a regular file");
    expect(await refused("/dev/zero", 1, "FILE_UNREADABLE")).toContain("not a regular file");
    expect(await refused(bpfman.path("none.o"), 3, "FILE_NOT_FOUND")).toContain("does not exist");
    // A file of /proc hides its size.
    await refused("/proc/self/cmdline", 1, "FILE_UNREADABLE");
  });
});

describe("what the verifier rejects", () => {
  /** So many steps before the mistake: the verifier writes a line or more about each. */
  const program = (steps: number) => `
    SEC("tc") int harmless(struct __sk_buff *ctx) { return 0; }
    SEC("tc") int reads_nothing(struct __sk_buff *ctx) {
      volatile __u64 sum = 0;
      #pragma clang loop unroll(full)
      for (int i = 0; i < ${steps}; i++) sum += ctx->len + i;
      return *(volatile int *)sum;
    }`;
  const words = (path: string) => ["load", "file", "--path", path, "--programs", "tcx:harmless", "tcx:reads_nothing"];

  test.each([4, 1200])("after %d steps: the whole log, and nothing is left", async (steps) => {
    const path = object(program(steps));
    const failure = await bpfman.refused(1, "VERIFIER_REJECTED", ...words(path));
    const log = failure.verifier_log ?? "";
    expect(failure.message).toStartWith('load program "reads_nothing": the verifier rejected it: ');
    expect(failure.message).toContain("invalid mem access");
    // From its first instruction to its last line, as bpftool gets it from the same kernel.
    expect(log).toMatch(/^(0|func#0 @0\n0): /);
    expect(log.trimEnd()).toMatch(/processed \d+ insns .*$/);
    if (steps > 1000) expect(log.length).toBeGreaterThan(100 * 1024);

    const { code, out, error } = await bpfman.run(...words(path));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(failure.details.source).toMatchObject({ function: "reads_nothing", line: 9 });
    expect(error).toStartWith(`error: ${failure.message}\n  at `);
    const lines = (text: string) => text.trimEnd().split("\n");
    const shown = lines(error);
    expect(shown.slice(shown.indexOf("") + 1)).toEqual(lines(log.trimEnd()));
    expect(await bpfman.programs()).toEqual([]);
    await bpfman.expectNothingLeft();
  });

  test("in a function that is called: its line of source, the column marked", async () => {
    const path = write("refusals.o", fixture("refusals"));
    const { code, error } = await bpfman.run("load", "file", "-p", path, "--programs", "tcx:in_callee");
    expect(code).toBe(1);
    expect(error).toContain("refusals.bpf.c:25:14 (function reads_unchecked, instruction 25)\n");
    expect(error).toContain(
      "  25 | return (int)*value; /* REFUSED in_callee, in_deep_callee */\n     |             ^\nhint: ",
    );
    await bpfman.expectNothingLeft();
  });

  test("the log goes through a pipe whole, also when its reader is slow", async () => {
    const path = object(program(1200));
    const script = write("slow.sh", `"$@" 2>&1 >/dev/null | (sleep 0.3; cat)\n`);
    chmodSync(script, 0o755);
    const through = Bun.spawnSync(["bash", script, ...bpfman.command(...words(path))]).stdout.toString();
    expect(through.trimEnd()).toMatch(/processed \d+ insns .*$/);
    expect(through.length).toBeGreaterThan(100 * 1024);
  });

  test("a map that the kernel cannot make: its reason, and nothing is left", async () => {
    const path = object(`
      struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 0xffffffff); __type(key, __u32); __type(value, char[4096]); } huge SEC(".maps");
      SEC("tc") int main_program(void *ctx) { __u32 key = 0; return bpf_map_lookup_elem(&huge, &key) != 0; }`);
    const failure = await bpfman.refused(
      1,
      "LOAD_FAILED",
      "load",
      "file",
      "-p",
      path,
      "--programs",
      "tcx:main_program",
    );
    expect(failure.message).toContain("huge");
    await bpfman.expectNothingLeft();
  });

  test("a licence that forbids a helper: the verifier's words", async () => {
    const source = `SEC("tracepoint/sched/sched_switch") int main_program(void *ctx) { __u64 n = 0; bpf_probe_read_kernel(&n, 8, ctx); return n; }`;
    const bytes = Buffer.from(compileBpf(source));
    const at = bytes.indexOf("GPL\0");
    bytes.write("MIT\0", at, "latin1");
    const path = write("object.o", bytes);
    const failure = await bpfman.refused(
      1,
      "VERIFIER_REJECTED",
      "load",
      "file",
      "-p",
      path,
      "--programs",
      "tracepoint:main_program",
    );
    expect(failure.message + failure.verifier_log).toMatch(/GPL/);
  });
});
