/** What `map` commands write is what bpftool reads, and the other way round, for maps and values of many kinds. */
import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import type { HistoryAnswer, MapListAnswer, MapStatusAnswer } from "../../src/domain/answer.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable } from "../labs/executable.ts";
import { bpftool, sh } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/map_values.bpf.o");
const bpfman = executable();

/** The program with all maps. */
async function load(): Promise<number> {
  const [program] = await bpfman.load(OBJECT, "--programs", "xdp:use_all", "-a", "shop");
  return program?.record?.program_id ?? 0;
}
const idOf = async (map: string): Promise<number> => (await bpfman.json<MapStatusAnswer>("map", "get", map)).id;
const dump = async (...words: string[]): Promise<unknown[]> => bpfman.json("map", "dump", ...words);
const bytes = (hex: string): string[] => ["hex", ...(hex.match(/../g) ?? [])];
interface Listed {
  readonly key: readonly string[];
  readonly value?: readonly string[];
  readonly values?: readonly { readonly value: readonly string[] }[];
}
/** Entries as bpftool reads them: bytes in hex. */
const seen = (id: number): { key: string; value?: string; values?: string[] }[] =>
  bpftool("map", "dump", "id", String(id)).map(({ key, value, values }: Listed) => {
    const digits = (list: readonly string[]): string => list.map((byte) => byte.slice(2)).join("");
    const own =
      values === undefined ? { value: digits(value ?? []) } : { values: values.map((each) => digits(each.value)) };
    return { key: digits(key), ...own };
  });

const USAGE =
  '{"packets":9007199254740993,"balance":-1,"verdict":"DENY","low":5,"high":7,"name":"eth0","inner":{"path":[1,2,3],"seen":true},"word":67305985,"bytes":[1,2,3,4]}';
const USAGE_HEX = "0100000000002000ffffffffffffffff070000003d00000065746830000000000102030101020304";
const FLOW = '{"saddr":"10.0.0.1","port":53,"zone":258}';
const FLOW_HEX = "0a00000100350201";

/** Map, key and value as they are written; the same as bytes. */
const TABLE: readonly (readonly [map: string, key: string, keyHex: string, value: string, valueHex: string])[] = [
  ["totals", "3", "03000000", "18446744073709551615", "ff".repeat(8)],
  ["totals", "3", "03000000", "9007199254740993", "0100000000002000"],
  ["flows", FLOW, FLOW_HEX, USAGE, USAGE_HEX],
  ["names", '"eth0"', "6574683000000000", "-5", "fbff"],
  ["recent", "9223372036854775809", "0100000000000080", "-2147483648", "00000080"],
  ["routes4", '"10.0.0.0/8"', "080000000a000000", "7", "07000000"],
  ["routes6", '"2001:db8::/32"', `2000000020010db8${"00".repeat(12)}`, "7", "07000000"],
  ["million", "1", `01${"00".repeat(7)}`, "0", "00".repeat(8)],
  [".data", "0", "00000000", '{"level":-7}', "f9ffffff"],
  [".bss", "0", "00000000", `{"last":${USAGE}}`, USAGE_HEX],
];

describe("an entry", () => {
  test("of each kind of map: what is written is what bpftool reads, and the other way round", async () => {
    const program = await load();
    for (const [map, key, keyHex, value, valueHex] of TABLE) {
      const name = `${program}/${map}`;
      const id = await idOf(name);
      await bpfman.ok("map", "update", name, key, value);
      expect({ map, entries: seen(id) }).toEqual({
        map,
        entries: expect.arrayContaining([{ key: keyHex, value: valueHex }]),
      });
      expect(await bpfman.ok("map", "lookup", name, key)).toBe(`${value}\n`);
      expect((await bpfman.ok("map", "dump", name)).split("\n")).toContain(`{"key":${key},"value":${value}}`);
      expect(await dump(name, "--raw")).toContainEqual({ key: keyHex, value: valueHex });

      const other = "00".repeat(valueHex.length / 2);
      sh("bpftool", "map", "update", "id", String(id), "key", ...bytes(keyHex), "value", ...bytes(other));
      expect(await bpfman.ok("map", "lookup", name, key)).not.toBe(`${value}\n`.replace(/^0\n$/, ""));
      sh("bpftool", "map", "update", "id", String(id), "key", ...bytes(keyHex), "value", ...bytes(valueHex));
      expect(await bpfman.ok("map", "lookup", name, key)).toBe(`${value}\n`);
      expect(await bpfman.ok("map", "lookup", name, "--raw", keyHex)).toBe(`"${valueHex}"\n`);
    }
  });

  test("with a value for each processor", async () => {
    await load();
    const id = await idOf("per_cpu");
    const processors: number = bpftool("map", "dump", "id", String(id))[0].values.length;
    const values = Array.from(
      { length: processors },
      (_, cpu) => `{"cpu":${cpu},"value":${2n ** 64n - 1n - BigInt(cpu)}}`,
    );
    const all = `[${values.join(",")}]`;
    await bpfman.ok("map", "update", "per_cpu", "1", all);
    expect(await bpfman.ok("map", "lookup", "per_cpu", "1")).toBe(`${all}\n`);
    expect(seen(id)[1]?.values).toEqual(values.map((_, cpu) => `${(255 - cpu).toString(16)}${"ff".repeat(7)}`));
    await bpfman.ok("map", "update", "per_cpu", "0", "3");
    expect(await dump("per_cpu", "--sum")).toContainEqual({ key: 0, value: 3 * processors });
    await bpfman.refused(
      1,
      "INVALID_VALUE",
      "map",
      "update",
      "per_cpu",
      "0",
      '[{"cpu":0,"value":1},{"cpu":0,"value":1}]',
    );

    await bpfman.ok("map", "update", "per_cpu_flows", FLOW, USAGE);
    expect(seen(await idOf("per_cpu_flows"))).toEqual([
      { key: FLOW_HEX, values: Array.from({ length: processors }, () => USAGE_HEX) },
    ]);
    const [{ value } = { value: null }] = (await dump("per_cpu_flows", "--sum")) as { value: { balance: number } }[];
    expect(value?.balance).toBe(-processors);
  });

  test("of a queue or stack is looked at and stays; clear takes all out", async () => {
    await load();
    await bpfman.ok("map", "update", "jobs", FLOW);
    await bpfman.ok("map", "update", "jobs", '{"port":1}');
    for (let twice = 0; twice < 2; twice++) {
      expect(await bpfman.ok("map", "dump", "jobs")).toBe(`{"value":${FLOW}}\n`);
      expect(await bpfman.ok("map", "lookup", "jobs")).toBe(`${FLOW}\n`);
    }
    expect(
      bpftool("map", "dequeue", "id", String(await idOf("jobs")))
        .value.join("")
        .replaceAll("0x", ""),
    ).toBe(FLOW_HEX);
    expect(await bpfman.ok("map", "clear", "jobs")).toStartWith("changed 1 entry");
    expect(await dump("jobs")).toEqual([]);
    await bpfman.refused(3, "ENTRY_NOT_FOUND", "map", "lookup", "jobs");
    // Its values have a size, but no type.
    await bpfman.ok("map", "update", "pile", "01020304");
    await bpfman.ok("map", "update", "pile", "05060708");
    expect(await dump("pile")).toEqual([{ value: "05060708" }]);
    await bpfman.refused(1, "INVALID_VALUE", "map", "update", "jobs", "1", FLOW);
  });

  test("may be a map, a program, or an interface", async () => {
    const program = await load();
    const inner = await idOf("second");
    await bpfman.ok("map", "update", "outer", "a", String(inner));
    expect(await dump("outer")).toEqual([{ key: "a", value: inner }]);
    await bpfman.ok("map", "update", "jumps", "2", String(program));
    expect(await dump("jumps")).toEqual([{ key: 2, value: program }]);
    await bpfman.refused(3, "PROGRAM_NOT_FOUND", "map", "update", "jumps", "2", "4294967295");
    await bpfman.ok("map", "delete", "jumps", "2");
    const { hint } = await bpfman.refused(1, "INVALID_VALUE", "map", "update", "jumps", "2", "use_all");
    const offered = /"bpfman (map update \d+) KEY (prog) NAME"$/.exec(hint ?? "");
    const [, update = "", prog = ""] = offered ?? [];
    await bpfman.ok(...update.split(" "), "2", prog, "use_all");
    expect(await dump("jumps")).toEqual([{ key: 2, value: program }]);
    await bpfman.ok("map", "delete", "jumps", "2");
    const missing = await bpfman.refused(3, "ENTRY_NOT_FOUND", "map", "lookup", "names", "lo");
    expect(missing.hint).toBe(`"bpfman map dump ${await idOf("names")}" shows all entries`);
    await bpfman.ok("map", "delete", "outer", "a");
    await bpfman.ok("map", "update", "devices", "9", '{"ifindex":1}');
    expect(await dump("devices")).toEqual([{ key: 9, value: { ifindex: 1, prog_id: 0 } }]);
  });

  test("keeps what belongs to the kernel", async () => {
    await load();
    await bpfman.ok("map", "update", "locked", "1", '{"limit":5,"lock":"(bpf_spin_lock)"}');
    expect(await dump("locked")).toEqual([{ key: 1, value: { lock: "(bpf_spin_lock)", limit: 5 } }]);
    await bpfman.ok("map", "update", "timers", "1", '{"count":5}');
    expect(await dump("timers")).toContainEqual({ key: 1, value: { count: 5, timer: "(bpf_timer)" } });
    await bpfman.refused(1, "INVALID_VALUE", "map", "update", "timers", "1", '{"timer":1}');
  });

  test("is deleted, only created, or only changed", async () => {
    await load();
    await bpfman.refused(3, "ENTRY_NOT_FOUND", "map", "update", "names", "a", "1", "--existing");
    await bpfman.ok("map", "update", "names", "a", "1", "--create");
    await bpfman.refused(5, "ENTRY_EXISTS", "map", "update", "names", "a", "2", "--create");
    expect(await dump("names")).toEqual([{ key: "a", value: 1 }]);
    await bpfman.ok("map", "delete", "names", "a");
    await bpfman.refused(3, "ENTRY_NOT_FOUND", "map", "delete", "names", "a");
    for (const route of ["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"])
      await bpfman.ok("map", "update", "routes4", route, "1");
    expect(await bpfman.ok("map", "lookup", "routes4", "10.2.3.4")).toBe("1\n");
    expect(await bpfman.ok("map", "clear", "routes4")).toStartWith("changed 3 entries");
    expect(await dump("routes4")).toEqual([]);
    await bpfman.ok("map", "update", "totals", "1", "5");
    await bpfman.refused(1, "NOT_SUPPORTED", "map", "delete", "totals", "1");
    await bpfman.ok("map", "clear", "totals");
    expect(seen(await idOf("totals")).every(({ value }) => value === "00".repeat(8))).toBe(true);
  });
});

test("what cannot be, is refused, and nothing is changed or printed", async () => {
  const program = await load();
  const refused = (code: Parameters<typeof bpfman.refused>[1], exit: number, ...words: string[]) =>
    bpfman.refused(exit, code, "map", ...words);
  await refused("INVALID_VALUE", 1, "update", "totals", "4", "1");
  await refused("INVALID_VALUE", 1, "update", "totals", "0", "18446744073709551616");
  await refused("INVALID_VALUE", 1, "update", "flows", "{}", '{"verdict":"DENIED"}');
  expect((await refused("INVALID_VALUE", 1, "update", "flows", "{}", '{"packet":1}')).hint).toContain('"packets"');
  await refused("INVALID_VALUE", 1, "lookup", "flows", "--raw", "0a");
  await refused("INVALID_VALUE", 1, "update", "flows", "1");
  await refused("USAGE", 2, "update", "flows", '{"saddr":', "{}");
  await refused("MAP_FROZEN", 5, "update", ".rodata", "0", '{"limit":1}');
  await refused("NOT_SUPPORTED", 1, "dump", "events");
  await refused("NOT_SUPPORTED", 1, "dump", "seen");
  await refused("INVALID_REQUEST", 2, "dump", "totals", "--sum");
  await refused("MAP_NOT_FOUND", 3, "dump", "total");
  await refused("MAP_NOT_FOUND", 3, "dump", `${program}/total`);
  await refused("MAP_NOT_FOUND", 3, "dump", "4294967295");
  for (const verb of ["lookup", "delete"]) {
    const { message } = await refused("ENTRY_NOT_FOUND", 3, verb, "recent", "9223372036854775809");
    expect(message).toContain("has no entry with key 9223372036854775809");
  }
  await refused("PROGRAM_NOT_FOUND", 3, "dump", "4294967295/totals");
  await refused("MAP_NOT_FOUND", 3, "dump", "/run/nowhere");
  expect(await dump("flows")).toEqual([]);

  const keyless = await refused("INVALID_VALUE", 1, "lookup", "totals");
  expect(keyless.message).toBe("invalid key: it is missing: each entry of a map of type array has one");
  expect(keyless.hint).toStartWith("give an index from 0 to 3; ");

  // The history says which map it was.
  const { operations } = await bpfman.json<HistoryAnswer>("history", "--failed");
  const totals = await idOf("totals");
  expect(operations.map(({ place }) => place)).toContain(`map ${totals} totals`);
  expect(operations.filter(({ place }) => place === null)).toEqual([]);

  const again = await load();
  const failure = await refused("MAP_AMBIGUOUS", 1, "dump", "totals");
  expect(failure.message).toContain(`${program}/totals`);
  expect(failure.message).toContain(`${again}/totals`);
  await refused("MAP_AMBIGUOUS", 1, "dump", "shop/totals");
  expect(await dump(`${again}/totals`)).toHaveLength(4);
  expect(await dump(`${bpfman.runtimeDir}/fs/maps/${again}/totals`)).toHaveLength(4);
});

test("global variables are set by their values, in both grammars", async () => {
  const words = ["--set", "limit=18446744073709551615", "level=-7", `last=${USAGE}`];
  const id = (await bpfman.ok("load", "file", "-q", "-p", OBJECT, "--programs", "xdp:use_all", ...words)).trim();
  const noun = ["-q", OBJECT, "--programs", "xdp:use_all", "--set", "level=-7", "--set", "last={}"];
  const other = (await bpfman.ok("program", "load", ...noun)).trim();
  const value = async (program: string, section: string) => seen(await idOf(`${program}/${section}`))[0]?.value;
  expect(await value(id, ".rodata")).toBe("ff".repeat(8));
  for (const program of [id, other]) expect(await value(program, ".data")).toBe("f9ffffff");
  expect([await value(id, ".bss"), await value(other, ".bss")]).toEqual([USAGE_HEX, "00".repeat(40)]);
  await bpfman.refused(
    1,
    "INVALID_GLOBAL",
    "load",
    "file",
    "-p",
    OBJECT,
    "--programs",
    "xdp:use_all",
    "--set",
    "level=x",
  );
  await bpfman.refused(1, "INVALID_GLOBAL", "check", OBJECT, "--set", "level=1", "-g", "level=01000000");
  expect(await bpfman.ok("list", "programs", "-q")).toBe(`${id}\n${other}\n`);
  expect(await bpfman.json("list", "programs", "-q")).toEqual([Number(id), Number(other)]);
});

test("maps of other tools are shown, and changed only on demand", async () => {
  await load();
  const pin = `${bpfman.runtimeDir}/fs/others`;
  sh("bpftool", "map", "create", pin, "type", "hash", "key", "4", "value", "2", "entries", "5", "name", "others");
  const { id } = await bpfman.json<MapStatusAnswer>("map", "get", pin);
  await bpfman.refused(4, "MAP_NOT_MANAGED", "map", "update", "others", "01020304", "0506");
  await bpfman.ok("map", "update", String(id), "01020304", "0506", "--foreign");
  expect(seen(id)).toEqual([{ key: "01020304", value: "0506" }]);
  expect(await dump("others")).toEqual([{ key: "01020304", value: "0506" }]);
  for (const key of ["02000000", "03000000", "04000000", "05000000"])
    await bpfman.ok("map", "update", pin, key, "0000", "--foreign");
  await bpfman.refused(5, "MAP_FULL", "map", "update", pin, "06000000", "0000", "--foreign");
  sh("bpftool", "map", "freeze", "id", String(id));
  for (const words of [
    ["update", pin, "01020304", "0708"],
    ["delete", pin, "01020304"],
    ["clear", pin],
  ])
    await bpfman.refused(5, "MAP_FROZEN", "map", ...words, "--foreign");
  expect(await bpfman.ok("map", "lookup", pin, "01020304")).toBe('"0506"\n');
  expect(await dump(pin)).toHaveLength(5);
  sh("rm", pin);

  const large = 64 * 1024 * 1024 + 8;
  sh(
    "bpftool",
    "map",
    "create",
    pin,
    "type",
    "array",
    "key",
    "4",
    "value",
    String(large),
    "entries",
    "1",
    "name",
    "large",
  );
  expect(await bpfman.json("map", "get", pin)).toMatchObject({ value_size: large, entries: 1 });
  for (const words of [
    ["dump", pin],
    ["lookup", pin, "0"],
    ["clear", pin, "--foreign"],
  ])
    expect((await bpfman.refused(1, "NOT_SUPPORTED", "map", ...words)).message).toContain(`${large} bytes`);
  sh("rm", pin);
});

test("the list shows sizes, entries and programs", async () => {
  const program = await load();
  await bpfman.ok("map", "update", "names", "a", "1");
  const { maps } = await bpfman.json<MapListAnswer>("map", "list", "--program", String(program));
  expect(maps.map((map) => map.name)).toContain("million");
  expect(maps.find((map) => map.name === "names")).toMatchObject({
    ...{ map_type: "hash", key_size: 8, value_size: 2, max_entries: 16, entries: 1, managed: true, frozen: false },
    ...{ key_type: "name_t", value_type: "__s16", programs: [program] },
    pins: [`${bpfman.runtimeDir}/fs/maps/${program}/names`],
  });
  expect(maps.find((map) => map.name === ".rodata")).toMatchObject({ frozen: true });
  const all = await bpfman.json<MapListAnswer>("map", "list", "--all");
  expect(all.maps.length).toBeGreaterThanOrEqual(maps.length);
  expect(await bpfman.ok("map")).toBe(await bpfman.ok("map", "list"));
});

test("a dump ends quietly when its reader does, and is valid JSON whatever happens", async () => {
  await load();
  const id = await idOf("million");
  const lines = Array.from(
    { length: 20_000 },
    (_, i) =>
      `map update id ${id} key hex ${bytes(hexOf(i)).slice(1).join(" ")} value hex ${bytes(hexOf(i)).slice(1).join(" ")}`,
  );
  await Bun.write(bpfman.path("batch"), `${lines.join("\n")}\n`);
  sh("bpftool", "batch", "file", bpfman.path("batch"));
  const entries = (await dump("million")) as { key: number; value: number }[];
  expect(entries).toHaveLength(20_000);
  expect(new Set(entries.map(({ key }) => key)).size).toBe(20_000);
  expect(entries.every(({ key, value }) => key === value)).toBe(true);
  const command = bpfman
    .command("map", "dump", "million")
    .map((word) => `'${word}'`)
    .join(" ");
  const piped = Bun.spawnSync(["bash", "-c", `${command} | head -n 2; echo "\${PIPESTATUS[0]}"`], {
    env: { ...process.env, ...bpfman.env },
  });
  expect(piped.stdout.toString().split("\n").slice(2)).toEqual(["0", ""]);
  expect(piped.stderr.toString()).toBe("");

  // A reader that stops for a while, as less does: nobody waits for it, and what it has not read does not pile up.
  const script = `mkfifo "$1"; ${command} >"$1" & exec 3<"$1"; head -c 1 <&3 >/dev/null; sleep 1
    grep VmRSS /proc/$!/status; read -r _; grep VmRSS /proc/$!/status; cat <&3 | wc -l; wait $!; echo $?`;
  const paused = Bun.spawn(["bash", "-c", script, "bash", bpfman.path("fifo")], {
    env: { ...process.env, ...bpfman.env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  await bpfman.ok("map", "update", "million", "20000", "1");
  const other = await bpfman.load(OBJECT, "--programs", "xdp:use_all");
  await bpfman.ok("unload", String(other[0]?.record?.program_id));
  paused.stdin.write("\n");
  paused.stdin.end();
  const [first = "", second = "", count, code] = (await paused.stdout.text()).split("\n");
  const kilobytes = (line: string): number => Number(/\d+/.exec(line)?.[0]);
  expect(kilobytes(second)).toBeLessThan(kilobytes(first) + 4096);
  // The first line has lost the byte that was read, and not its end.
  expect([Number(count) >= 20_000, code]).toEqual([true, "0"]);
});

const hexOf = (number: number): string => {
  const buffer = Buffer.alloc(8);
  buffer.writeUInt32LE(number);
  return buffer.toString("hex");
};
