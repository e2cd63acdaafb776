/** Completions in the real shells: what pressing tab does to a line, with live values. */
import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { compileBpf } from "../objects/compile.ts";
import { BPFMAN, executable, idOf } from "../labs/executable.ts";
import { cable } from "../labs/kernel-lab.ts";
import { elvishPrints, fishOffers, typeInto } from "../labs/terminal.ts";

const SOURCE = `
SEC("tc") int counts_packets(void *ctx) { return 0; }
SEC("tracepoint/syscalls/sys_enter_getpgid") int sees_getpgid(void *ctx) { return 0; }
const volatile __u32 BOUND = 1;
SEC("xdp") int passes(void *ctx) { return BOUND; }
`;

const bpfman = executable();
let env: Record<string, string> = {};

beforeEach(() => {
  mkdirSync(bpfman.path("bin"));
  symlinkSync(BPFMAN, bpfman.path("bin/bpfman"));
  writeFileSync(bpfman.path("object.o"), compileBpf(SOURCE));
  env = {
    PATH: `${bpfman.path("bin")}:${process.env.PATH}`,
    HOME: bpfman.path("bin"),
    BPFMAN_RUNTIME_DIR: bpfman.runtimeDir,
  };
});

const LEFT = "\x1b[D";

/** Keys, and the line that a shell makes of them. */
const LINES: readonly (readonly [keys: string, line: string])[] = [
  ["bpfman lo\t", "bpfman load "],
  [
    "bpfman attach 5 tracep\t--tracepoint syscalls/sys_enter_getpgi\t",
    "bpfman attach 5 tracepoint --tracepoint syscalls/sys_enter_getpgid ",
  ],
  ["bpfman attach 5 xdp --ifa\tl\t", "bpfman attach 5 xdp --iface lo "],
  ["bpfman attach 5 xdp --iface=l\t", "bpfman attach 5 xdp --iface=lo "],
  [
    "bpfman link attach tc 5 lo ing\t-p 1 --proceed-on ok,reclas\t",
    "bpfman link attach tc 5 lo ingress -p 1 --proceed-on ok,reclassify ",
  ],
  ["bpfman list programs -o js\t", "bpfman list programs -o json "],
  ["bpfman load file --path obj\t--programs xd\t", "bpfman load file --path object.o --programs xdp:passes "],
  [
    "bpfman load file --path object.o --programs=tracepoint:se\t",
    "bpfman load file --path object.o --programs=tracepoint:sees_getpgid ",
  ],
  ["bpfman program load file object.o -g BO\t01", "bpfman program load file object.o -g BOUND=01"],
  [
    "bpfman program load file object.o --programs xdp:passes,tc:co\t",
    "bpfman program load file object.o --programs xdp:passes,tc:counts_packets ",
  ],
  [
    "bpfman load file -p object.o --programs xdp:passes tc:co\t",
    "bpfman load file -p object.o --programs xdp:passes tc:counts_packets ",
  ],
  ["bpfman attach 5 uprobe -t libc -f malloc_tr\t", "bpfman attach 5 uprobe -t libc -f malloc_trim "],
  ["bpfman image build localhost/x linux/amd\tobj\t", "bpfman image build localhost/x linux/amd64=object.o "],
  ["bpfman completions zs\t", "bpfman completions zsh "],
  ["bpfman list programs -ojs\t", "bpfman list programs -ojson "],
  ["bpfman load image --pull-policy IfN\t", "bpfman load image --pull-policy IfNotPresent "],
  // The value in the middle of the line; the cursor goes back over what stands behind it.
  [`bpfman attach 5 tcx --direction  -p 1${LEFT.repeat(5)}eg\t`, "bpfman attach 5 tcx --direction egress -p 1"],
];

describe.each(["bash", "zsh"] as const)("%s", (shell) => {
  test.each(LINES)("%j", async (keys, line) => {
    const typed = await typeInto(shell, `cd ${bpfman.path("")}\n${keys}`, env);
    // zsh takes the blank that it added away again when something else than text is typed.
    expect(shell === "zsh" ? typed.line.trimEnd() : typed.line).toBe(shell === "zsh" ? line.trimEnd() : line);
  });

  test("shows programs with their names, and completes the id of the only one", async () => {
    const programs = await bpfman.load(bpfman.path("object.o"), "--programs", "tcx:counts_packets", "xdp:passes");
    const id = idOf(programs, "counts_packets");
    // First comes what both ids begin with, in bash then the bell, then the list.
    const tabs = shell === "bash" ? "\t\t\t" : "\t\t";
    const { shown } = await typeInto(shell, `bpfman get program ${tabs}`, env);
    expect(shown).toContain("counts_packets (tcx)");
    expect(shown).toContain("passes (xdp)");
    await bpfman.ok("unload", String(idOf(programs, "passes")));
    expect((await typeInto(shell, "bpfman attach \ttcx --dir\tegr\t", env)).line.trimEnd()).toBe(
      `bpfman attach ${id} tcx --direction egress`,
    );
  });
});

describe.each(["bash", "zsh"] as const)("%s looks at the rest of the line", (shell) => {
  const wire = cable();
  const line = async (keys: string, more: Record<string, string> = {}): Promise<string> =>
    (await typeInto(shell, keys, { ...env, ...more })).line.trimEnd();

  test("interfaces are those of the namespace, wherever that stands", async () => {
    const name = wire.interface;
    const start = name.slice(0, -1);
    expect(await line(`bpfman attach 5 tcx -n ${wire.netns} -i ${start}\t`)).toBe(
      `bpfman attach 5 tcx -n ${wire.netns} -i ${name}`,
    );
    const behind = ` -n ${wire.netns}`;
    expect(await line(`bpfman attach 5 tcx -i${behind}${LEFT.repeat(behind.length)} ${start}\t`)).toBe(
      `bpfman attach 5 tcx -i ${name}${behind}`,
    );
    const words = ` egress${behind}`;
    expect(await line(`bpfman link attach tcx 5${words}${LEFT.repeat(words.length)} ${start}\t`)).toBe(
      `bpfman link attach tcx 5 ${name}${words}`,
    );
  });

  test("programs are those of the directory that the line names", async () => {
    const programs = await bpfman.load(bpfman.path("object.o"), "--programs", "xdp:passes");
    const id = idOf(programs, "passes");
    const elsewhere = { BPFMAN_RUNTIME_DIR: bpfman.path("bin") };
    const given = `--runtime-dir ${bpfman.runtimeDir}`;
    expect(await line(`bpfman ${given} get program \t`, elsewhere)).toBe(`bpfman ${given} get program ${id}`);
    const behind = ` ${given}`;
    expect(await line(`bpfman program unload${behind}${LEFT.repeat(behind.length)} \t`, elsewhere)).toBe(
      `bpfman program unload ${id}${behind}`,
    );
    expect(await line("bpfman get program \t", elsewhere)).toBe("bpfman get program");
  });
});

test("bash completes behind an alias, and files in the home directory", async () => {
  const set = "alias b=bpfman; complete -F _bpfman b\n";
  expect((await typeInto("bash", `${set}b attach 5 tcx --dir\teg\t`, env)).line).toBe(
    "b attach 5 tcx --direction egress ",
  );
  writeFileSync(bpfman.path("bin/home.o"), compileBpf(SOURCE));
  expect((await typeInto("bash", "bpfman load file --path ~/ho\t--programs xd\t", env)).line).toBe(
    "bpfman load file --path ~/home.o --programs xdp:passes ",
  );
});

describe("fish", () => {
  const offers = (line: string): string[] => fishOffers(line, env);

  test("offers commands with what they do", () => {
    expect(offers("bpfman li")).toEqual([
      "link\tAttach programs to hooks; show, change and remove the links.",
      "list\tList programs or links.",
    ]);
  });
  test("offers options, choices and what is there", () => {
    expect(offers("bpfman link attach xdp 5 lo --p")).toEqual([
      "--priority\tPosition in the chain; lower values run first.",
      "--proceed-on\tReturn values after which the chain continues with the next program.",
    ]);
    expect(offers("bpfman attach 5 xdp --iface l")).toEqual(["lo"]);
    expect(offers("bpfman attach 5 xdp --iface=l")).toEqual(["--iface=lo"]);
    expect(offers("bpfman attach 5 tcx -d ")).toEqual(["egress", "ingress"]);
  });
  test("offers what exists where the line says", async () => {
    const id = idOf(await bpfman.load(bpfman.path("object.o"), "--programs", "xdp:passes"), "passes");
    const elsewhere = { ...env, BPFMAN_RUNTIME_DIR: bpfman.path("bin") };
    expect(fishOffers("bpfman get program ", elsewhere)).toEqual([]);
    for (const line of [
      `--runtime-dir ${bpfman.runtimeDir} get program `,
      `get program --runtime-dir=${bpfman.runtimeDir} `,
    ]) {
      expect(fishOffers(`bpfman ${line}`, elsewhere)).toEqual([`${id}\tpasses (xdp)`]);
    }
  });
  test("offers what an object file holds", () => {
    const object = bpfman.path("object.o");
    expect(offers(`bpfman program load file ${object} --programs t`)).toEqual([
      "tc:counts_packets\ttc",
      "tcx:counts_packets\ttc",
      "tracepoint:sees_getpgid\ttracepoint/syscalls/sys_enter_getpgid",
    ]);
    expect(offers(`bpfman load file --path ${bpfman.path("obj")}`)).toEqual([object]);
  });
  test("offers links and programs", async () => {
    const programs = await bpfman.load(bpfman.path("object.o"), "--programs", "tracepoint:sees_getpgid");
    const id = idOf(programs, "sees_getpgid");
    const link = await bpfman.attach(id, "tracepoint", "--tracepoint", "syscalls/sys_enter_getpgid");
    expect(offers("bpfman program unload ")).toEqual([`${id}\tsees_getpgid (tracepoint)`]);
    const about = "sees_getpgid: tracepoint syscalls/sys_enter_getpgid";
    expect(offers("bpfman detach ")).toEqual([`${link.record.id}\t${about}`]);
    expect(offers("bpfman detach se")).toEqual([`sees_getpgid\t${link.record.id}: ${about}`]);
    expect(offers("bpfman attach sees_getpgid t")).toEqual(["tracepoint\tAttach a program to a tracepoint."]);
  });
});

describe("elvish", () => {
  /** Candidates with what goes behind them, and how they are shown. */
  const offers = async (words: string): Promise<string[]> => {
    const each = "{|c| print '<'$c[stem]$c[code-suffix]'>' }";
    const printed = await elvishPrints(
      `cd ${bpfman.path("")}; $edit:completion:arg-completer[bpfman] ${words} | each ${each}`,
      env,
    );
    return [...printed.matchAll(/<([^<>]*)>/g)].map(([, candidate = ""]) => candidate);
  };

  test("offers commands, options, choices and what is there", async () => {
    expect((await offers("bpfman li")).sort()).toEqual(["link ", "list "]);
    expect(await offers("bpfman attach 5 xdp --iface l")).toEqual(["lo "]);
    expect(await offers("bpfman attach 5 tcx -d ''")).toEqual(["ingress ", "egress "]);
    expect(await offers("bpfman nonsense ''")).toEqual([]);
  });
  test("offers files, and what an object file holds", async () => {
    expect(await offers("bpfman load file --path obj")).toContain("object.o ");
    expect(await offers("bpfman load file --path=obj")).toContain("--path=object.o ");
    // elvish itself leaves out what does not begin so.
    const directories = await offers("bpfman completions ./b");
    expect([directories.includes("./bin/"), directories.includes("./object.o ")]).toEqual([true, false]);
    expect(await offers("bpfman load file -p object.o --programs xdp")).toEqual(["xdp:passes "]);
    expect(await offers("bpfman load file -p object.o -g BO")).toEqual(["BOUND="]);
  });
  test("puts what is meant into the line", async () => {
    expect(await elvishPrints("bpfman completions zs\t-o text | take 1", env)).toContain("#compdef bpfman");
  });
});

describe("PowerShell", () => {
  test("asks for the line as it is typed, and understands the answer", async () => {
    const script = await bpfman.ok("completions", "powershell");
    expect(script).toContain("Register-ArgumentCompleter -Native -CommandName bpfman -ScriptBlock {");
    expect(script).toContain("bpfman __complete line -- $line.Substring(0, $at) $line.Substring($at)");
    for (const [open, close] of ["{}", "()", "[]"].map((pair) => [...pair])) {
      expect(script.split(open as string).length).toBe(script.split(close as string).length);
    }
    expect(await bpfman.ok("completions", "pwsh")).toBe(script);
    // What it sends for `bpfman attach 5 tcx -d |-i lo`, and how it takes the answer apart.
    const [first = "", ...candidates] = (
      await bpfman.ok("__complete", "line", "--", "bpfman attach 5 tcx -d ", "-i lo")
    )
      .trimEnd()
      .split("\n");
    expect(first.split("\t")).toEqual(["words", ""]);
    expect(candidates.map((line) => line.split("\t")[0])).toEqual(["ingress", "egress"]);
    expect(await bpfman.ok("__complete", "line", "--", "bpfman load file --path=o", "")).toBe("files\t--path=\n");
  });

  // No distribution of the matrix has a package of it.
  test.skipIf(Bun.which("pwsh") === null)("completes (needs pwsh, which Debian does not package)", () => {
    const command =
      "bpfman completions powershell | Out-String | Invoke-Expression; " +
      "(TabExpansion2 'bpfman attach 5 xdp --iface l' 29).CompletionMatches.CompletionText";
    const { stdout } = Bun.spawnSync(["pwsh", "-NoProfile", "-Command", command], { env });
    expect(stdout.toString().trim()).toBe("lo");
  });
});

describe("__complete", () => {
  const answer = async (...words: string[]): Promise<string[]> =>
    (await bpfman.ok("__complete", "words", "--", ...words)).trimEnd().split("\n");

  test("knows kernel functions, namespaces and processes", async () => {
    expect(await answer("attach", "5", "kprobe", "--fn-name", "vfs_rea")).toContain("vfs_read\t");
    expect(await answer("attach", "5", "kprobe", "--fn-name", "")).toEqual(["words"]);
    const processes = await answer("attach", "5", "uprobe", "--pid", "");
    expect(processes.some((line) => line.startsWith(`${process.pid}\t`))).toBe(true);
  });

  test("without rights knows what everybody may know, and never complains", async () => {
    const run = (...words: string[]) =>
      Bun.spawnSync(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BPFMAN, "__complete", "words", "--", ...words],
        {
          env: { PATH: process.env.PATH ?? "" },
        },
      );
    const interfaces = run("attach", "5", "xdp", "--iface", "l");
    expect([interfaces.exitCode, interfaces.stdout.toString(), interfaces.stderr.toString()]).toEqual([
      0,
      "words\t\nlo\t\n",
      "",
    ]);
    const programs = run("get", "program", "");
    expect([programs.exitCode, programs.stdout.toString(), programs.stderr.toString()]).toEqual([0, "words\t\n", ""]);
  });
});

describe("completions and man", () => {
  test("write files into a directory", async () => {
    const directory = bpfman.path("out");
    const files = (await bpfman.ok("completions", directory)).trimEnd().split("\n");
    expect(files).toEqual(
      ["bpfman.bash", "_bpfman", "bpfman.fish", "bpfman.elv", "_bpfman.ps1"].map((name) => `${directory}/${name}`),
    );
    expect(await Bun.file(`${directory}/bpfman.fish`).text()).toBe(await bpfman.ok("completions", "fish"));
    expect(await bpfman.ok("completions", bpfman.path("one"), "-s", "zsh")).toBe(`${bpfman.path("one/_bpfman")}\n`);
    await bpfman.refused(2, "USAGE", "completions", directory, "-s", "tcsh");
    await bpfman.refused(1, "IO_FAILED", "completions", `${directory}/_bpfman`, "--shell", "bash");
  });

  test("have no mistakes that mandoc, groff or the shells could find", async () => {
    const directory = bpfman.path("man");
    const pages = (await bpfman.ok("man", directory, "--date", "2026-01-02")).trimEnd().split("\n");
    expect(pages.length).toBeGreaterThan(40);
    const check = (...command: string[]): void => {
      const result = Bun.spawnSync(command, { env: { PATH: process.env.PATH ?? "", LC_ALL: "C.UTF-8" } });
      expect([command.at(-1), result.exitCode, result.stderr.toString()]).toEqual([command.at(-1), 0, ""]);
      if (command[0] === "mandoc") expect(result.stdout.toString()).toBe("");
    };
    for (const page of pages) {
      check("mandoc", "-Tlint", page);
      const text = readFileSync(page, "utf8");
      const titles = [...text.matchAll(/^\.SH (.*)$/gm)].map(([, title]) => title);
      const wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"];
      expect([page, titles.filter((title) => wanted.includes(title ?? ""))]).toEqual([page, wanted]);
      // What it refers to is there.
      for (const [, name] of text.matchAll(/^\\fB(bpfman\S*)\\fR\(1\)/gm)) {
        expect(pages).toContain(`${directory}/${name?.replaceAll("\\-", "-")}.1`);
      }
    }
    check("groff", "-man", "-ww", "-Tutf8", ...pages);
    const shown = Bun.spawnSync(["man", "-l", `${directory}/bpfman-attach-tcx.1`], {
      env: { PATH: process.env.PATH ?? "", MANPAGER: "col -bx", MANWIDTH: "80", LC_ALL: "C.UTF-8" },
    });
    const text = shown.stdout.toString();
    expect(text).toContain("bpfman attach <PROGRAM_ID> tcx [OPTIONS] --direction DIRECTION");
    expect(text).toContain("bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50");

    await bpfman.ok("completions", bpfman.path("scripts"));
    check("bash", "-n", bpfman.path("scripts/bpfman.bash"));
    check("zsh", "-n", bpfman.path("scripts/_bpfman"));
    check("fish", "--no-execute", bpfman.path("scripts/bpfman.fish"));
    // elvish has the module of its editor on a terminal only: there the script has run above.
  });
});
