import { describe, expect, test } from "bun:test";
import type { MetricAnswer, ProgramStatsAnswer, StatsAnswer } from "../../../src/domain/stats-answer.ts";
import { prometheusText } from "../../../src/domain/prometheus.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { cli } from "../../fakes/cli-host.ts";

const counted = { runs: 1000, run_time_ns: 250_000, runs_per_second: 999.13, ns_per_run: 250, cpu_percent: 0.025 };
const unknown = { runs: null, run_time_ns: null, runs_per_second: null, ns_per_run: null, cpu_percent: null };
const program = (id: number, parts: Partial<ProgramStatsAnswer> = {}): ProgramStatsAnswer => ({
  ...{ program_id: id, name: `function_${id}`, type: "xdp", managed: true, application: "web", owner: "bpfman" },
  ...{ owner_pids: [], in_chain: false, ...counted },
  ...parts,
});
const foreign = { managed: false, application: null, type: "cgroup-device", owner: "systemd", owner_pids: [1] };
const answer: StatsAnswer = {
  interval_ms: 1001,
  not_counted: null,
  programs: [
    program(5),
    program(6, { ...foreign, ...counted, runs: 0, runs_per_second: 0, ns_per_run: null, cpu_percent: 0 }),
    program(7, { in_chain: true, ...unknown }),
  ],
};
const chained: StatsAnswer = {
  ...answer,
  chains: [
    {
      key: { type: "xdp", nsid: 1, ifindex: 2 },
      interface: "eth0",
      program_id: 8,
      members: [
        {
          ...{ position: 0, priority: 50, program_id: 7, program_name: "function_7", link_id: 1, counted_with: [] },
          ...counted,
          verdicts: { drop: 990, other: 10 },
        },
      ],
    },
  ],
  members_not_counted: null,
};

const shown = async (given: StatsAnswer): Promise<string> => (await cli("stats", { answer: () => given })).out;

describe("stats", () => {
  test("numbers are aligned, and what was not counted is not a zero", async () => {
    expect((await shown(answer)).replaceAll(/ +$/gm, "")).toBe(
      [
        " Program ID  Owner    Type           Function Name  Runs  Runs/s  ns/run  CPU %",
        " 5           web      xdp            function_5     1000     999     250   0.03",
        " 6           systemd  cgroup-device  function_6        0       0       -   0.00",
        " 7           web      xdp            function_7        -       -       -      -",
        "",
        "program 7 is a member of a chain, which the kernel does not count one by one: --members does",
        "",
      ].join("\n"),
    );
  });
  test("members of chains have their verdicts", async () => {
    expect((await shown(chained)).replaceAll(/ +$/gm, "")).toEndWith(
      [
        "",
        " XDP on eth0",
        " #  Program ID  Function Name  Runs  Runs/s  ns/run  CPU %  Verdicts",
        " 0  7           function_7     1000     999     250   0.03  drop 990, other 10",
        "",
      ].join("\n"),
    );
    expect(await shown({ ...chained, members_not_counted: "no\u001bfentry" })).toEndWith(
      "\nmembers of chains were not counted: no\\x1bfentry\n",
    );
    expect(await shown({ ...chained, chains: [] })).toContain("there are no members");
    expect(await shown({ ...answer, not_counted: "that takes CAP_SYS_ADMIN" })).toEndWith(
      "\nruns were not counted: that takes CAP_SYS_ADMIN\n",
    );
  });
});

describe("top", () => {
  const many = {
    ...answer,
    programs: Array.from({ length: 40 }, (_, at) => program(at + 1, { cpu_percent: at, runs_per_second: 40 - at })),
  };
  /** Types these keys, each after something was drawn, and answers what was drawn then. */
  async function typed(
    ...keys: readonly string[]
  ): Promise<{ frames: string[][]; code: number; screens: readonly string[] }> {
    const frames: string[][] = [];
    const waiting = [...keys, "q"];
    const run = await cli("top", {
      async answer({ context: { sink, signal } }) {
        const bytes = new TextEncoder().encode(JSON.stringify(many));
        while (sink?.write(bytes) === true);
        expect(signal?.aborted).toBe(true);
        throw new BpfmanError("CANCELLED", "interrupted");
      },
      types(events, lines) {
        // Before there is anything to sort.
        if (lines.length < 24) return;
        frames.push([...lines]);
        const key = waiting.shift();
        if (key !== undefined) events.typed(key);
      },
    });
    return { frames, code: run.code, screens: run.screens };
  }
  const ids = (lines: readonly string[] | undefined) =>
    (lines ?? []).flatMap((line) => /^ (\d+) /.exec(line)?.[1] ?? []).map(Number);

  test("fits the screen, sorts, scrolls within what there is, and gives the terminal back", async () => {
    const { frames, code, screens } = await typed("i", "j\u001b[B", "k", "\u001b[6~", " ", " ", "\u001b[5~", "R", "?");
    expect([code, screens]).toEqual([0, ["opened", "closed"]]);
    for (const lines of frames) {
      expect(lines).toHaveLength(24);
      expect(Math.max(...lines.map((line) => Bun.stringWidth(line.trimEnd())))).toBeLessThanOrEqual(80);
    }
    const first = frames.map((lines) => ids(lines)[0]);
    expect(frames[0]?.[0]).toBe(" bpfman top   40 programs, 1.0 s, by CPU");
    // By CPU, then by ID: down two, up one, a page down and to the end, a page up; by runs a second.
    expect(first.slice(0, 8)).toEqual([40, 1, 3, 2, 20, 20, 20, 1]);
    expect(frames[8]?.[0]).toContain("by runs/s");
  });
  test("passes on what fails, and gives the terminal back", async () => {
    const refuse = () => {
      throw new BpfmanError("PROGRAM_NOT_FOUND", "program 5 does not exist");
    };
    const run = await cli("top 5", { answer: refuse, types: () => {} });
    expect([run.code, run.screens]).toEqual([3, ["opened", "closed"]]);
    expect(run.err).toStartWith("error: program 5 does not exist\n");
  });
  test("needs a terminal, and has no JSON", async () => {
    const run = await cli("top");
    expect([run.code, run.out, run.calls]).toEqual([5, "", []]);
    expect(run.err).toContain('type "bpfman stats"');
    const json = await cli("top -o json", { types: () => {} });
    expect([json.code, json.screens]).toEqual([2, []]);
  });
});

describe("metrics", () => {
  const metrics: readonly MetricAnswer[] = [
    {
      name: "a_total",
      type: "counter",
      help: "With a \\ and\na line.",
      samples: [
        { labels: {}, value: 1 },
        { labels: { name: 'a "b"\\\n', other: "" }, value: 1.5e-9 },
      ],
    },
    { name: "empty", type: "gauge", help: "Nothing.", samples: [] },
  ];
  test("label values and help are escaped; what has no value is left out", () => {
    expect(prometheusText(metrics)).toBe(
      [
        "# HELP a_total With a \\\\ and\\na line.",
        "# TYPE a_total counter",
        "a_total 1",
        'a_total{name="a \\"b\\"\\\\\\n",other=""} 1.5e-9',
        "",
      ].join("\n"),
    );
  });
  test("a label value affects no terminal", () => {
    const samples = [{ labels: { name: "a\x1b[31m\u202e\nb" }, value: 1 }];
    expect(prometheusText([{ name: "a", type: "gauge", help: "A.", samples }])).toEndWith(
      'a{name="a\\\\x1b[31m\\\\u202e\\nb"} 1\n',
    );
  });
  test("are printed, or the file is named that they went to", async () => {
    const print = (file: string | null) => cli("metrics", { answer: () => ({ metrics, file }) });
    expect((await print(null)).out).toBe(prometheusText(metrics));
    expect((await print("/x/b.prom")).out).toBe("wrote 2 metrics to /x/b.prom\n");
  });
});
