/** Runs equivalent scripts in both grammars on the real kernel; their answers must be the same. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type {
  DispatcherDetailAnswer,
  DispatcherListAnswer,
  LinkAnswer,
  LoadAnswer,
  MapAnswer,
  ProgramAnswer,
  ProgramListAnswer,
} from "../../src/domain/answer.ts";
import { nounAnswer } from "../../src/cli/render/json.ts";
import { compileBpf } from "../objects/compile.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { cable } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { workload } from "../labs/workload.ts";

const LINES_MIN = 40;
/** A hundred processes one after the other, on a machine that may be busy. */
const STORIES_LIMIT_MS = 300_000;
const SOURCE = `
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); }
  counters_with_a_long_name SEC(".maps");
const volatile __u32 LIMIT = 3;
static __attribute__((always_inline)) int add(__u32 key) {
  __u64 *counter = bpf_map_lookup_elem(&counters_with_a_long_name, &key);
  if (counter && *counter < LIMIT) __sync_fetch_and_add(counter, 1);
  return 0;
}
SEC("xdp") int pass_all(void *ctx) { return 2; }
SEC("tc") int count(void *ctx) { add(0); return -1; }
SEC("tracepoint/syscalls/sys_enter_getpgid") int on_getpgid(void *ctx) { return add(1); }
SEC("uprobe") int on_call(void *ctx) { return add(2); }
SEC("uretprobe") int on_return(void *ctx) { return add(3); }
SEC("xdp") int refused(void *ctx) {
  __u32 key = 9;
  return *(__u64 *)bpf_map_lookup_elem(&counters_with_a_long_name, &key);
}
`;

const bpfman = executable();
const net = cable();
const work = workload();

type Grammar = "classic" | "nouns";

/** Runs a script in the test's network namespace, with a runtime directory of its own. */
async function tell(grammar: Grammar): Promise<Answers> {
  const directory = bpfman.path(grammar);
  for (const part of ["", "/answers", "/bin"]) mkdirSync(`${directory}${part}`);
  writeFileSync(bpfman.path("grammar.o"), compileBpf(SOURCE));
  symlinkSync(BPFMAN, `${directory}/bin/bpfman`);
  const script = resolve(import.meta.dir, `../fixtures/scripts/${grammar}.sh`);
  const child = Bun.spawn(["nsenter", `--net=${net.netns}`, "bash", script], {
    env: {
      PATH: `${directory}/bin:${process.env.PATH}`,
      BPFMAN_RUNTIME_DIR: `${directory}/run`,
      ANSWERS: `${directory}/answers`,
      OBJECT: bpfman.path("grammar.o"),
      TARGET: work.binary,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ grammar, code, error }).toEqual({ grammar, code: 0, error: "" });
  expect(out).toContain("count");
  const text = (name: string): string => readFileSync(`${directory}/answers/${name}`, "utf8");
  return { text, json: <T>(name: string): T => JSON.parse(text(`${name}.json`)) };
}

interface Answers {
  text(file: string): string;
  json<T>(name: string): T;
}

const ANSWER_NAMES = [
  ...["load", "pair", "by-selector", "by-metadata", "xdp-programs", "programs", "get", "sharer"],
  ...["xdp", "tc", "tcx", "tracepoint", "uprobe", "uretprobe", "links", "tcx-links", "links-by-metadata", "get-link"],
  ...["dispatchers", "dispatcher", "no-dispatchers", "maps", "counters", "none", "nothing"],
];
const ERROR_NAMES = [
  ...["no-program", "no-link", "wrong-kind", "no-fentry", "no-fexit", "no-lsm", "twin", "no-interface"],
  ...["mismatch", "no-global", "no-owner", "no-object", "refused"],
];

/** What differs from one run to the next: ids, times, places. All else must be the same. */
const VOLATILE =
  /^(.*_)?(ids?|at|nsid|memlock|path|handle|revision|target|used_by|links|runtime|pid|prog_pin|map_dir|bytecode|file)$/;
const APPLICATION = /bpfman_application|bpfman\.io\/application/g;

function settled(value: unknown, key = ""): unknown {
  if (VOLATILE.test(key) && (typeof value !== "object" || value === null)) return typeof value;
  if (Array.isArray(value)) return value.map((each) => settled(each, key));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      // Metadata of this grammar alone.
      .filter(([name]) => !name.startsWith("bpfman.io/actual-type:"))
      .map(([name, each]) => [name.replace(APPLICATION, "application"), settled(each, name)]),
  );
}

describe("scripts", () => {
  test("have at least forty lines", () => {
    for (const grammar of ["classic", "nouns"]) {
      const script = readFileSync(resolve(import.meta.dir, `../fixtures/scripts/${grammar}.sh`), "utf8");
      const lines = script.split("\n").filter((line) => /^(fails \d+ \S+ |\w+=\$\()?bpfman /.test(line));
      expect([grammar, new Set(lines).size]).toEqual([grammar, lines.length]);
      expect(lines.length).toBeGreaterThanOrEqual(LINES_MIN);
    }
  });

  tcxTest(
    "of both grammars run unchanged, and are answered the same",
    async () => {
      const [classic, nouns] = [await tell("classic"), await tell("nouns")];
      for (const name of ANSWER_NAMES) {
        expect({ name, answer: settled(nouns.json(name)) }).toEqual({
          name,
          answer: settled(nounAnswer(classic.json(name))),
        });
      }
      for (const name of ERROR_NAMES) {
        const [plain = "", prefixed = ""] = [classic, nouns].map((answers) =>
          answers
            .text(`${name}.err`)
            .split("\n", 1)[0]
            ?.replaceAll(/\b\d+\b/g, "N"),
        );
        expect(plain).toStartWith("error: ");
        expect(prefixed).toBe(`bpfman: ${plain}`);
      }
      // `version` there, `--version` here.
      expect(nouns.text("version.txt").split("\n")[0]).toBe(classic.text("version.txt").trimEnd());
      expect(nouns.text("empty.txt")).toBe("");
      expect(classic.text("empty.txt")).toContain("Program ID");

      expectShapes(nouns);
      expectWords(nouns);
      expectCounted(nouns);
    },
    STORIES_LIMIT_MS,
  );
});

/** What newer bpfman promises of its JSON. */
function expectShapes(answers: Answers): void {
  const [count, onGetpgid] = answers.json<LoadAnswer>("load").programs;
  const got = answers.json<ProgramAnswer>("get");
  expect(got.record).toEqual(count?.record as NonNullable<ProgramAnswer["record"]>);
  expect(got.record?.meta.metadata).toEqual({ owner: "me", tier: "1", "bpfman.io/application": "shop" });
  expect(got.record?.load.global_data).toEqual({ LIMIT: "CgAAAA==" });
  expect(onGetpgid?.record?.created_at).toBe(got.record?.created_at as string);
  // The kernel's names are short, the pins' are not.
  const [map] = got.status.maps.filter((each) => each.name.startsWith("counters"));
  expect(map?.name).toBe("counters_with_a");
  expect(map?.pin_path).toEndWith("/counters_with_a_long_name");
  expect(got.status.maps.map((each) => each.id)).toEqual(got.status.kernel?.map_ids as number[]);
  expect(answers.json<ProgramAnswer>("sharer").record?.load.map_owner_id).toBe(got.record?.program_id as number);

  const kinds = ["xdp", "tc", "tcx", "tracepoint", "uprobe", "uretprobe"];
  expect(kinds.map((name) => answers.json<LinkAnswer>(name).record.kind as string)).toEqual(kinds);
  expect(answers.json<LinkAnswer>("tc").record.details).toMatchObject({ priority: 40, proceed_on: [3, 30] });
  expect(answers.json<LinkAnswer>("xdp").record.details).toMatchObject({ priority: 35, proceed_on: [2, 31] });
  expect(answers.json<LinkAnswer>("tcx").record.metadata).toEqual({ "bpfman.io/application": "shop", zone: "a" });
  const [attached, gotLink] = ["tcx", "get-link"].map((name) => answers.json<LinkAnswer>(name).record);
  expect(gotLink?.created_at).toBe(attached?.created_at as string);
  expect(answers.json<LinkAnswer>("get-link").record.details).toMatchObject({ position: 1, interface: "veth0" });

  const { dispatchers } = answers.json<DispatcherListAnswer>("dispatchers");
  expect(dispatchers.map((each) => [each.key.type, each.member_count])).toEqual([
    ["tc-ingress", 1],
    ["xdp", 1],
  ]);
  const [tc, xdp] = dispatchers;
  expect(Object.keys(tc?.runtime ?? {})).toEqual(["program_id", "filter_priority", "filter_handle", "netns_path"]);
  expect(xdp?.runtime.kernel_link_id).toBeGreaterThan(0);
  for (const each of dispatchers) {
    expect(each).toMatchObject({
      key: { type: expect.any(String), nsid: expect.any(Number), ifindex: expect.any(Number) },
    });
    expect(each.revision).toBeGreaterThan(0);
  }
  expect(answers.json<DispatcherListAnswer>("tc-dispatcher").dispatchers).toEqual(dispatchers.slice(0, 1));
  expect(answers.json<DispatcherListAnswer>("no-dispatchers")).toEqual({ dispatchers: [] });
  const { members, ...detail } = answers.json<DispatcherDetailAnswer>("dispatcher");
  expect(detail).toEqual(xdp as NonNullable<typeof xdp>);
  expect(members).toEqual([
    {
      program_id: answers.json<LinkAnswer>("xdp").record.program_id,
      program_name: "pass_all",
      prog_pin_path: expect.stringMatching(/\/prog_\d+$/),
      link_id: answers.json<LinkAnswer>("xdp").record.id,
      kernel_link_id: expect.any(Number),
      link_pin_path: expect.any(String),
      position: 0,
      priority: 35,
      proceed_on: 0x80000004,
      ifname: "veth0",
      metadata: { "bpfman.io/application": "shop" },
    },
  ]);
  const names = answers.json<ProgramListAnswer>("attached").programs.map((each) => each.function_name);
  expect(names).toEqual(["count", "on_getpgid", "pass_all", "count", "on_call", "on_return", "count"]);
  expect(answers.json<readonly MapAnswer[]>("maps").map((each) => each.map_type)).toContain("array");
}

/** The probe ran as often as the function did, and in no process but that one. */
function expectCounted(answers: Answers): void {
  const slots = answers.json<readonly { readonly formatted?: { readonly value: number } }[]>("counters");
  expect(slots.map((slot) => slot.formatted?.value)).toEqual([0, 0, 3, 0]);
}

/** Words that people's scripts look for. */
function expectWords(answers: Answers): void {
  const words: [name: string, ...wanted: string[]][] = [
    ["no-program", "program 4294967295 does not exist"],
    ["no-link", "link 4711 does not exist"],
    ["wrong-kind", "is a uprobe program"],
    ["twin", "already attached to veth0 ingress as link "],
    ["no-interface", "veth7"],
    ["mismatch", "program type mismatch"],
    ["no-global", 'global variable "LIMITS" not found in program'],
    ["no-owner", "map_owner_id 4294967295 does not exist"],
    ["no-object", "/no/such.o", "does not exist"],
    ["no-fentry", "is a TCX program"],
    // The whole log: how it began, the reason, and the sums at its end.
    ["refused", "\n0: ", "invalid mem access 'map_value_or_null'", "\nprocessed "],
    ["priority", "2147483648"],
  ];
  for (const [name, ...wanted] of words) for (const word of wanted) expect(answers.text(`${name}.err`)).toContain(word);
}
