import { describe, expect, test } from "bun:test";
import { type Command, isGroup, type Leaf, type Node } from "../../../src/cli/command.ts";
import { ROOT } from "../../../src/cli/commands.ts";
import { firstSentence } from "../../../src/cli/render/help.ts";
import { cli } from "../../fakes/cli-host.ts";
import { failureOf } from "../../expect/failure.ts";
import { expectGolden } from "../../expect/golden.ts";

/** Every command's words, from the root down. */
function* paths(node: Node = ROOT, words: readonly string[] = []): Generator<readonly string[]> {
  yield words;
  if (isGroup(node)) for (const child of node.children) yield* paths(child, [...words, child.name]);
}
function* leaves(node: Node = ROOT): Generator<Leaf> {
  if (isGroup(node)) for (const child of node.children) yield* leaves(child);
  else yield node;
}

const commands: [name: string, command: Command][] = [];
for (const leaf of leaves()) if (leaf.load !== null) commands.push([leaf.name, await leaf.load()]);

const everyPath = [...paths()].map((words) => words.join(" "));

/** All help of one length, as one text. */
async function allHelp(flag: string): Promise<string> {
  let text = "";
  for (const path of everyPath) {
    const run = await cli(`${path} ${flag}`);
    expect([path, run.code, run.err, run.connected.length]).toEqual([path, 0, "", 0]);
    text += `$ bpfman${path === "" ? "" : ` ${path}`} ${flag}\n${run.out}\n`;
  }
  return text;
}

test("short help of every command", async () => expectGolden("cli/help-short.txt", await allHelp("-h")));
test("long help of every command", async () => expectGolden("cli/help-long.txt", await allHelp("--help")));

const widest = (text: string): number => Math.max(...text.split("\n").map((line) => line.length));

test("help fits the terminal, 80 columns where there is none, and says the same at any width", async () => {
  const words = (text: string): string => text.replaceAll(/[\s\\]+/g, " ");
  for (const path of everyPath) {
    for (const flag of ["-h", "--help"]) {
      const usual = (await cli(`${path} ${flag}`)).out;
      expect([path, flag, widest(usual) <= 80]).toEqual([path, flag, true]);
      for (const columns of [80, 90, 100]) {
        const { out } = await cli(`${path} ${flag}`, { terminal: true, columns });
        expect([path, flag, columns, widest(out) <= columns, words(out)]).toEqual([
          path,
          flag,
          columns,
          true,
          words(usual),
        ]);
      }
    }
  }
});

test("a command line in an example that is broken can still be pasted into a shell", async () => {
  const { out } = await cli("image build --help");
  const broken = /Publish for two platforms:\n((?:.*\\\n)+.*)\n/.exec(out)?.[1] ?? "";
  const { stdout } = Bun.spawnSync(["sh", "-c", broken.replace("bpfman", "echo bpfman")]);
  expect(stdout.toString()).toBe(
    "bpfman image build -t quay.io/acme/counter:v1 --bc-amd64-el x86.o --bc-s390x-eb s390.o\n",
  );
});

test("a group says once what several of its commands do alike", async () => {
  for (const path of ["attach", "link attach"]) {
    const { out } = await cli(`${path} --help`);
    const said = [...out.slice(out.indexOf("Examples:")).matchAll(/^ {2}(\S.*):$/gm)].map(([, does]) => does);
    expect(said.length).toBeGreaterThan(3);
    expect(new Set(said).size).toBe(said.length);
  }
});

describe("help COMMAND is COMMAND --help", () => {
  test.each(everyPath)("%p", async (path) => {
    const run = await cli(`help ${path}`);
    expect(run).toMatchObject({ code: 0, err: "", connected: [] });
    expect(run.out).toBe((await cli(`${path} --help`)).out);
  });
  test("inside of a group", async () => {
    const wanted = (await cli("attach tcx --help")).out;
    expect((await cli("attach help tcx")).out).toBe(wanted);
    expect((await cli("help attach tcx")).out).toBe(wanted);
    expect((await cli("attach help")).out).toBe((await cli("attach --help")).out);
  });
  test("aliases have the help of what they stand for", async () => {
    expect((await cli("help list program")).out).toContain("-p, --program-type <PROGRAM_TYPE>");
  });
});

test("the long help of everything has examples", async () => {
  for (const path of everyPath) expect((await cli(`${path} --help`)).out).toMatch(/\nExamples:\n {2}\S/);
  const { out } = await cli("link attach --help");
  for (const kind of ["xdp", "tc", "tcx", "tracepoint", "kprobe", "uprobe", "fentry", "fexit", "lsm"]) {
    expect(out).toContain(`\n    bpfman link attach ${kind} 63178`);
  }
});

test("the words that an option takes are listed, unless its text has them", async () => {
  expect((await cli("dispatcher list --help")).out).toContain("[possible values: xdp, tc-ingress, tc-egress]");
  const { out } = await cli("image build --help");
  expect(out.replaceAll(/\s+/g, " ")).toContain("docker or podman");
  expect(out).not.toContain("[possible values: docker, podman]");
});

test("help wins over what is missing, and over values that are wrong", async () => {
  expect((await cli("load file --programs zzz --help")).code).toBe(0);
  expect((await cli("attach 5 tcx -h")).code).toBe(0);
  expect((await cli("attach tcx -p zzz -h")).code).toBe(0);
  expect((await cli("unload --help 5")).out).toContain("Usage: bpfman unload");
  expect((await cli("list programs -ah")).out).toContain("Usage: bpfman list programs");
  expect((await cli("version --help", { env: { BPFMAN_LOG: "loud" } })).code).toBe(0);
});

test("a group without a command shows its short help, as an error", async () => {
  for (const path of ["", "load", "attach", "list", "get", "image"]) {
    const run = await cli(path);
    expect(run).toMatchObject({ code: 2, out: "", connected: [] });
    expect(run.err).toBe((await cli(`${path} -h`)).out);
  }
});

test("hidden commands are not listed, and have help", async () => {
  const { out } = await cli("--help");
  expect(out).not.toMatch(/^ {2}(completions|man) /m);
  expect(out).not.toContain("man pages");
  expect((await cli("completions --help")).out).toContain("Prints or writes shell completions.");
  expect((await cli("list --help")).out).not.toMatch(/^ {2}program /m);
});

test("the first sentence of a text", () => {
  expect(firstSentence(["Priority in the chain. Lower values run first.", "[possible values: 0-1000]"])).toBe(
    "Priority in the chain.",
  );
  expect(firstSentence(["An object file", "over two lines", "Example: x"])).toBe("An object file over two lines");
  expect(firstSentence(["Only one.", "", "Not this."])).toBe("Only one.");
});

describe("the table itself", () => {
  test.each(commands)("%s: names are unique, and its examples are understood", async (_, command) => {
    const longs = command.flags.map((flag) => flag.long);
    const shorts = command.flags.flatMap((flag) => flag.short ?? []);
    expect(new Set(longs).size).toBe(longs.length);
    expect(new Set(shorts).size).toBe(shorts.length);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const { line } of command.examples) {
      const words = line.replace(/^bpfman /, "");
      const hasOutput = words.startsWith("top") || words.includes(" --output ");
      const typed = hasOutput ? words : `${words} --output json`.replace(/-o \w+ --output json$/, "-o json");
      const run = await cli(
        (typed.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll(/^"|"$/g, "")),
        {
          types: (events) => events.typed("q"),
          answer: () => ({
            applications: [],
            watched: [],
            programs: [],
            links: [],
            deleted: [],
            detached: [],
            findings: [],
            steps: [],
            notes: [],
            checked: {},
            files: [],
            metrics: [],
            file: null,
            passed: true,
          }),
        },
      );
      expect([line, run.err, run.code]).toEqual([line, "", 0]);
    }
  });
  test.each(commands)(
    "%s: a range that help gives is the one that is accepted, and that the error names",
    (_, command) => {
      for (const flag of command.flags) {
        const [, first, last] = /\[possible values: (-?\d+)(?:-| to )(\d+)\]/.exec(flag.doc.join(" ")) ?? [];
        expect([flag.long, first !== undefined]).toEqual([flag.long, flag.long === "priority"]);
        if (first === undefined || last === undefined) continue;
        expect([flag.parse(first, ""), flag.parse(last, "")]).toEqual([Number(first), Number(last)]);
        for (const outside of [String(Number(first) - 1), String(Number(last) + 1)]) {
          expect(failureOf(() => flag.parse(outside, "")).message).toContain(`from ${first} to ${last}`);
        }
      }
    },
  );
  test.each(commands)("%s: a choice that help lists is one that is accepted", (_, command) => {
    for (const flag of command.flags) {
      const listed = /\[possible values: ([a-z][^\]]*)\]/.exec(flag.doc.join(" "))?.[1];
      if (listed === undefined) continue;
      for (const word of listed.split(/,\s*/)) expect(flag.choices).toContain(word);
    }
  });
});
