import { describe, expect, test } from "bun:test";
import type { HistoryEntryAnswer, ProgramAnswer, ProgramListEntry } from "../../../src/domain/answer.ts";
import { cli } from "../../fakes/cli-host.ts";
import {
  everyLink,
  featuresAnswer,
  foreignProgram,
  kernelProgram,
  linkAnswer,
  programAnswer,
  programRecord,
  versionAnswer,
} from "../../fakes/answers.ts";
import { expectGolden } from "../../expect/golden.ts";

const LOAD = "load file --programs xdp:a -p x.o";

async function shown(line: string, answer: unknown): Promise<string> {
  const run = await cli(line, { answer: () => answer });
  expect([run.code, run.err]).toEqual([0, ""]);
  return run.out;
}

/** A copy of the sample with other facts in its record's `load`. */
const loaded = (load: Partial<typeof programRecord.load>, kernel = kernelProgram): ProgramAnswer => ({
  record: { ...programRecord, load: { ...programRecord.load, ...load } },
  status: { ...programAnswer.status, kernel },
});

const entry: ProgramListEntry = {
  program_id: 6321,
  managed: true,
  application: "demo",
  type: "tcx",
  function_name: "count_every_packet",
  links: [3],
  state: null,
  record: null,
  kernel: null,
  status: { kernel: null },
};
const programList = {
  programs: [
    { ...entry, program_id: 12, managed: false, application: null, type: "cgroupskb", function_name: "", links: [] },
    entry,
    { ...entry, program_id: 6322, application: null, type: "kretprobe", function_name: "leave", links: [] },
    { ...entry, program_id: 6323, links: [1, 2, 3, 4] },
  ],
};
const linkList = {
  links: everyLink.map(({ record, status }) => ({
    ...record,
    application: record.kind === "fentry" ? null : "demo",
    function_name: status.function_name,
  })),
};

describe("as a file", () => {
  test("get program", async () => expectGolden("cli/program.txt", await shown("get program 6321", programAnswer)));
  test("get program, JSON", async () =>
    expectGolden("cli/program.json", await shown("get program 6321 -o json", programAnswer)));
  test("get program that is not ours", async () =>
    expectGolden("cli/program-foreign.txt", await shown("get program 12", foreignProgram)));
  test("every kind of link", async () => {
    let text = "";
    for (const link of everyLink) text += `${await shown(`get link ${link.record.id}`, link)}\n`;
    expectGolden("cli/links.txt", text);
  });
  test("get link, JSON", async () => expectGolden("cli/link.json", await shown("get link 1 -o json", everyLink[0])));
  test("list programs", async () => expectGolden("cli/list-programs.txt", await shown("list programs", programList)));
  test("list links", async () => expectGolden("cli/list-links.txt", await shown("list links", linkList)));
  test("version", async () => expectGolden("cli/version.txt", await shown("version", versionAnswer)));
  test("version, JSON", async () => {
    const answer = { ...versionAnswer, features: featuresAnswer };
    expectGolden("cli/version.json", await shown("version -o json", answer));
  });
  test("on a terminal", async () => {
    const run = await cli("get program 6321", { terminal: true, answer: () => programAnswer });
    expectGolden("cli/program-terminal.txt", run.out);
  });
});

describe("a table that is wider than the terminal", () => {
  const wide = {
    programs: [
      { ...entry, application: "an_application_with_a_long_name", function_name: "f".repeat(100) },
      { ...entry, function_name: "日本語".repeat(20), links: [1, 2, 3, 4] },
    ],
  };
  const on = async (columns: number, terminal = true): Promise<string> =>
    (await cli("list programs", { terminal, columns, env: { NO_COLOR: "1" }, answer: () => wide })).out;
  const widest = (text: string): number => Math.max(...text.split("\n").map((line) => Bun.stringWidth(line)));

  test("has its widest column shortened", async () => {
    const text = await on(120);
    expect(widest(text)).toBe(120);
    expect(text).toMatch(/ 6321 +an_application_with_a_long_name +tcx +f+… +\(1\) 3 \n/);
    expect(text).toMatch(/ 6321 +demo +tcx +(日本語)+日?本?… +\(4\) 1, 2, 3, \.\.\. \n/);
    expect(await on(300)).not.toContain("…");
  });
  test("has others shortened as well when that is not enough, but no heading", async () => {
    for (const columns of [80, 73, 72, 71, 70]) {
      expect(await on(columns)).toMatch(/ an_app\S*… +tcx +f+… /);
      expect(widest(await on(columns))).toBe(columns);
    }
    expect(await on(20)).toMatch(/^ Program ID +Application +Type +Function Name +Links/);
  });
  test("is whole in a pipe", async () => {
    expect(await on(80, false)).toContain("f".repeat(100));
    expect(await on(80, false)).not.toContain("…");
  });
  test("of labelled facts is whole", async () => {
    const path = `/${"long/".repeat(30)}x.o`;
    const answer = () => loaded({ source_path: path });
    expect((await cli("get program 6321", { terminal: true, columns: 80, answer })).out).toContain(path);
  });
});

test("load shows one program in full, several as a list", async () => {
  expect(await shown(LOAD, { programs: [programAnswer] })).toBe(await shown("get program 6321", programAnswer));
  expect(await shown(LOAD, { programs: [programAnswer, loaded({ program_name: "other" })] })).toBe(
    [
      " Program ID  Application  Type  Function Name       Links \n",
      " 6321        demo         tcx   count_every_packet  (1) 3 \n",
      " 6321        demo         tcx   other               (1) 3 \n",
    ].join(""),
  );
});

test("attach shows what get link shows", async () => {
  for (const link of everyLink) {
    expect(await shown("attach 6321 fentry", link)).toBe(await shown("get link 1", link));
  }
});

test("empty lists print the header alone", async () => {
  expect(await shown("list programs", { programs: [] })).toBe(
    " Program ID  Application  Type  Function Name  Links \n",
  );
  expect(await shown("list links", { links: [] })).toBe(
    " Program ID  Link ID  Application  Type  Function Name  Attachment \n",
  );
  expect(await shown("list links -o json", { links: [] })).toBe('{\n  "links": []\n}\n');
});

test("lists say what is wrong with a pin, and only then have a column for it", async () => {
  const programs = [entry, { ...entry, program_id: 6322, links: [], state: "gone" }];
  expect(await shown("list programs", { programs })).toBe(
    [
      " Program ID  Application  Type  Function Name       State  Links \n",
      " 6321        demo         tcx   count_every_packet         (1) 3 \n",
      " 6322        demo         tcx   count_every_packet  gone \n",
    ].join(""),
  );
  const links = linkList.links.slice(2, 3).map((link) => ({ ...link, state: "unpinned" }));
  expect(await shown("link list", { links })).toBe(
    [
      " Program ID  Link ID  Application  Type  Function Name       State     Attachment \n",
      " 6321        3        demo         tcx   count_every_packet  unpinned  eth0 ingress pos-0 \n",
    ].join(""),
  );
  expect(JSON.parse(await shown("list programs -o json", { programs })).programs[1].state).toBe("gone");
});

describe("history", () => {
  const done: HistoryEntryAnswer = {
    id: 7,
    at: "2026-01-02T03:04:05.678Z",
    boot_id: "b",
    user: { uid: 0, login_uid: 1000, sudo_uid: 1000 },
    parent: { pid: 4711, command: "sudo" },
    operation: "program/load",
    programs: [5, 6, 7, 8, 9],
    links: [],
    place: null,
    source: "x.o",
    result: "ok",
    message: null,
    duration_us: 12_345,
    verification: { instructions: 44, load_us: 3210 },
  };
  const failed: HistoryEntryAnswer = {
    ...done,
    ...{ user: { uid: 0, login_uid: null, sudo_uid: null }, parent: { pid: 1, command: null } },
    ...{ operation: "link/attach", programs: [5], links: [3], place: "tcx eth0 ingress", source: null },
    ...{ result: "HOOK_BUSY", message: "a\nb", duration_us: 1_234_000, verification: null },
  };
  const answer = { operations: [done, { ...failed, operation: "session/end", result: "ok", message: null }, failed] };

  test("has one line for each operation", async () => {
    expect(await shown("history", answer)).toBe(
      [
        " Time                  User         Operation    Subject                              Took       Result \n",
        " 2026-01-02T03:04:05Z  1000 (sudo)  load         programs 5 6 7 and 2 more, x.o       12.3 ms    ok, 44 instructions verified in 3.2 ms \n",
        " 2026-01-02T03:04:05Z  0            session/end  program 5, link 3, tcx eth0 ingress  1234.0 ms  ok \n",
        " 2026-01-02T03:04:05Z  0            attach       program 5, link 3, tcx eth0 ingress  1234.0 ms  HOOK_BUSY: a\\nb \n",
      ].join(""),
    );
  });
  test("keeps its times whole on a terminal", async () => {
    const { out } = await cli("history", { terminal: true, columns: 80, env: { NO_COLOR: "1" }, answer: () => answer });
    for (const line of out.trimEnd().split("\n").slice(1)) {
      expect(line).toStartWith(" 2026-01-02T03:04:05Z  ");
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
    }
  });
});

test("an image has its address and policy in place of the path", async () => {
  const image = { url: "quay.io/a/b:latest", digest: "sha256:00", pull_policy: "IfNotPresent" };
  const text = await shown("get program 6321", loaded({ image_source: image, source_path: null }));
  expect(text).toContain(" Image URL:     quay.io/a/b:latest \n Pull Policy:   IfNotPresent \n");
  expect(text).not.toContain("Path:          /");
});

test("the kernel's type, in the words of the reference", async () => {
  const kernelType = async (program: ProgramAnswer): Promise<string | undefined> =>
    /Kernel Type: +(\S+)/.exec(await shown("get program 1", program))?.[1];
  const extension = { ...kernelProgram, program_type: "extension" };
  expect(await kernelType(loaded({ program_type: "xdp" }, extension))).toBe("xdp");
  expect(await kernelType(loaded({ program_type: "tc" }, extension))).toBe("tc");
  expect(await kernelType(loaded({ program_type: "fexit" }, { ...kernelProgram, program_type: "tracing" }))).toBe(
    "tracing",
  );
  expect(await kernelType(loaded({ program_type: "uprobe" }, { ...kernelProgram, program_type: "kprobe" }))).toBe(
    "probe",
  );
  expect(await kernelType({ ...foreignProgram, status: { ...foreignProgram.status, kernel: extension } })).toBe("ext");
  expect(await kernelType(loaded({}, { ...kernelProgram, program_type: "brandnew(99)" }))).toBe("brandnew(99)");
});

test("a program that the kernel no longer has is shown with what is known", async () => {
  const gone = { ...programAnswer, status: { ...programAnswer.status, kernel: null } };
  const text = await shown("get program 6321", gone);
  expect(text).toContain(" BPF Function:  count_every_packet \n");
  expect(text).toContain(" Program ID:                       None \n");
});

/** Characters that a terminal acts on, line ends aside. */
const controlsIn = (text: string): string[] =>
  [...text].filter((character) => character !== "\n" && /[\p{Cc}\p{Bidi_Control}]/u.test(character));

test("text from outside cannot control the terminal", async () => {
  const evil = "\x1b[2J\x07a\nb\u202e\x9b1m";
  const run = await cli("get program 6321", {
    terminal: true,
    answer: () => ({
      ...loaded({ program_name: evil }),
      status: { ...programAnswer.status, links: [linkAnswer(1, "fentry", { fn_name: evil })] },
    }),
  });
  expect(run.out).toContain("\\x1b[2J\\x07a\\nb\\u202e\\x9b1m");
  expect(controlsIn(run.out.replaceAll("\x1b[1;32m", "").replaceAll("\x1b[0m", ""))).toEqual([]);

  const json = await shown("get program 6321 -o json", loaded({ program_name: evil }));
  expect(controlsIn(json.replaceAll("\u202e", ""))).toEqual([]);
  expect(JSON.parse(json).record.load.program_name).toBe(evil);
});

test("columns line up by what is seen, not by the number of code units", async () => {
  const text = await shown("list programs", {
    programs: [
      { ...entry, application: "日本" },
      { ...entry, application: "demo" },
    ],
  });
  const columns = text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => Bun.stringWidth(line.slice(0, line.indexOf("tcx"))));
  expect(columns[0]).toBe(columns[1]!);
});

describe("unload and detach", () => {
  test("print nothing when all went well", async () => {
    expect(await shown("unload 1 2", { program_id: 1, detached: [], unloaded: true })).toBe("");
    expect(await shown("detach 1 2", { link_id: 1, detached: true })).toBe("");
  });
  test("take an ID that is given twice once", async () => {
    const unloaded = { program_id: 1, detached: [], unloaded: true };
    expect(JSON.parse(await shown("unload 1 1 -o json", unloaded))).toEqual({ unloaded: [unloaded] });
    const detached = { link_id: 3, detached: true };
    expect(JSON.parse(await shown("link detach 3 3 -o json", detached))).toMatchObject({ detached: [{ link_id: 3 }] });
  });
  test("print the answers as JSON", async () => {
    const unloaded = { program_id: 1, detached: [3], unloaded: true };
    expect(JSON.parse(await shown("unload 1 2 -o json", unloaded))).toEqual({ unloaded: [unloaded, unloaded] });
    const detached = { link_id: 3, detached: false };
    expect(JSON.parse(await shown("detach 3 --ignore-missing -o json", detached))).toEqual({ detached: [detached] });
  });
});

describe("errors, hints and usage", () => {
  const typed = "attach 5 tcx --direction ingress --iface eth0";
  const widest = (text: string): number => Math.max(...text.split("\n").map((line) => Bun.stringWidth(line)));
  const words = (text: string): string[] => text.split(/\s+/);

  test("wrap at the width of the terminal, and say the same", async () => {
    const { err: whole } = await cli(typed);
    const { err } = await cli(typed, { terminal: true, columns: 60, env: { NO_COLOR: "1" } });
    expect([widest(whole) > 60, widest(err) <= 60]).toEqual([true, true]);
    expect(words(err)).toEqual(words(whole));
    expect(err).toContain("\n       --");
  });
  test("do not break within a command that can be copied", async () => {
    const { err } = await cli("program attach 5", { terminal: true, columns: 60, env: { NO_COLOR: "1" } });
    expect(err).toMatch(/"bpfman [^"\n]+"/);
    expect(err).not.toMatch(/"bpfman [^"]*\n/);
  });
  test("count what is seen, not the colours", async () => {
    const plain = await cli("show me all of it", { terminal: true, columns: 60, env: { NO_COLOR: "1" } });
    const colored = await cli("show me all of it", { terminal: true, columns: 60 });
    expect(Bun.stripANSI(colored.err)).toBe(plain.err);
    expect(widest(plain.err)).toBeLessThanOrEqual(60);
  });
  test("stay whole in a pipe", async () => {
    const { err } = await cli(typed, { columns: 60 });
    expect(err).toContain("[OPTIONS] --direction <DIRECTION> --iface <IFACE> --priority <PRIORITY>\n");
  });
});
