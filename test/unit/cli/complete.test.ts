import { describe, expect, test } from "bun:test";
import { homedir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../../src/cli/commands.ts";
import { completeLine } from "../../../src/cli/complete/cursor.ts";
import { splitShellWords } from "../../../src/cli/complete/complete.ts";
import { ATTACH_KINDS, PROGRAM_TYPES } from "../../../src/domain/kinds.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { cli } from "../../fakes/cli-host.ts";

/** The cursor is at the end, or at `|`; what stands before it behind the last blank is the word at it. */
const at = (line: string) => {
  const [typed = "", rest = ""] = line.split("|");
  const words = typed.split(" ");
  const behind = rest.split(" ").filter((word) => word !== "");
  return completeLine(ROOT, { words: [...words, ...behind], at: words.length });
};
const valuesAt = async (line: string) => (await at(line)).candidates.map((candidate) => candidate.value);
const liveAt = async (line: string) => (await at(line)).live;

describe("commands", () => {
  test.each([
    [
      "",
      [
        "load",
        "run",
        "unload",
        "attach",
        "detach",
        "list",
        "get",
        "iter",
        "map",
        "program",
        "link",
        "dispatcher",
        "image",
        "events",
        "trace",
        "watch",
        "check",
        "inspect",
        "history",
        "apply",
        "export",
        "doctor",
        "repair",
        "restore",
        "stats",
        "top",
        "metrics",
        "lsp",
        "rpc",
        "serve",
        "version",
        "help",
      ],
    ],
    ["l", ["load", "list", "link", "lsp"]],
    ["load ", ["file", "image"]],
    ["program load ", ["file", "image"]],
    ["-o json list pr", ["programs"]],
    ["--runtime-dir /x list pr", ["programs"]],
    ["attach 5 tc", ["tc", "tcx"]],
    ["link attach f", ["fentry", "fexit", "fmod_ret", "freplace"]],
    ["help attach tc", ["tc", "tcx"]],
    ["attach help tc", ["tc", "tcx"]],
    ["help nothing ", []],
    ["nonsense ", []],
    ["list nonsense ", []],
  ])("%j", async (line, wanted) => expect(await valuesAt(line)).toEqual(wanted));

  test("hidden ones are not offered, and work", async () => {
    expect(await valuesAt("comp")).toEqual([]);
    expect(await valuesAt("completions -s ")).toEqual(["bash", "zsh", "fish", "elvish", "powershell"]);
  });
});

describe("options and their words", () => {
  test.each([
    ["attach 5 xdp --", ["--iface", "--priority", "--proceed-on", "--xdp-mode", "--netns", "--metadata", "--quiet"]],
    ["attach 5 xdp --iface eth0 --", ["--priority", "--proceed-on", "--xdp-mode", "--netns", "--metadata", "--quiet"]],
    ["attach 5 xdp --xdp-mode ", ["drv", "skb", "hw"]],
    ["link --ki", ["--kind"]],
    ["apply x.yaml --", ["--dry-run", "--prune", "--follow"]],
    ["export --", ["--application", "--bundle"]],
    ["link --kind x", ["xdp"]],
    ["program -q --at", ["--attached"]],
    ["attach 5 xdp --proceed-on pass dr", ["drop"]],
    ["link attach xdp 5 eth0 --proceed-on pass,d", ["pass,drop", "pass,dispatcher_return"]],
    ["link attach xdp 5 eth0 --proceed-on pass,pa", []],
    ["list programs --output=j", ["--output=json"]],
    ["list programs -oj", ["-ojson"]],
    ["list programs -o=", ["-o=text", "-o=json"]],
    ["list programs -aj", []],
    ["list programs -ao ", ["text", "json"]],
    ["list programs --log=de", ["--log=debug"]],
    ["list programs -", ["--program-type"]],
    ["list programs -o ", ["text", "json"]],
    ["list programs --nonsense=", []],
    ["link attach tc 5 eth0 ", ["ingress", "egress"]],
    ["attach 5 xdp -- --", []],
    // What stands behind the cursor is given as well.
    ["attach 5 tcx -|-n /x --iface lo", ["--direction", "--priority", "--metadata", "--quiet"]],
    ["attach 5 tcx |-i lo -d ingress", ["--priority", "--netns", "--metadata", "--quiet"]],
    ["link attach tc 5 lo |-p 1", ["ingress", "egress"]],
    ["dispatcher get |4026531840 2", ["xdp", "tc-ingress", "tc-egress"]],
    ["map update devices 0 2 ", ["prog"]],
    ["load file --programs ", PROGRAM_TYPES.map((type) => `${type}:`)],
  ])("%j", async (line, wanted) => expect((await valuesAt(line)).slice(0, Math.max(wanted.length, 1))).toEqual(wanted));

  test("descriptions are the first sentence of their help", async () => {
    const [iface] = (await at("attach 5 xdp --iface")).candidates;
    expect(iface?.description).toBe("Network interface to attach to.");
  });
  test("where nothing else can stand, options are shown; help comes last", async () => {
    const values = await valuesAt("get program 5 ");
    expect([values.includes("--output"), values.at(-1)]).toEqual([true, "--help"]);
  });
});

describe("live values", () => {
  const live = { before: "", netns: null, file: null };
  test.each([
    ["attach ", { ...live, what: "program-id", prefix: "", attachKind: null }],
    ["link attach tcx 6", { ...live, what: "program-id", prefix: "6", attachKind: "tcx" }],
    ["attach 5 ", { ...live, what: "attach-kind", prefix: "", programId: "5", narrows: true }],
    ["attach 5 t", { ...live, what: "attach-kind", prefix: "t", programId: "5", narrows: true }],
    ["link attach ", null],
    ["load file -a ap", { ...live, what: "application", prefix: "ap" }],
    ["program list --application=", { ...live, what: "application", prefix: "", before: "--application=" }],
    ["list links --metadata-selector ow", { ...live, what: "metadata", prefix: "ow" }],
    ["load file -m a=b,c", { ...live, what: "metadata", prefix: "c", before: "a=b," }],
    ["link attach xdp 5 eth0 -m ", { ...live, what: "metadata", prefix: "" }],
    ["attach 5 tracepoint -t sched/", { ...live, what: "tracepoint", prefix: "sched/" }],
    ["link attach kprobe 5 vfs_", { ...live, what: "kernel-function", prefix: "vfs_" }],
    ["unload 5 6 7", { ...live, what: "program-id", prefix: "7" }],
    ["stats 5 ", { ...live, what: "program-id", prefix: "" }],
    ["history --program ", { ...live, what: "program-id", prefix: "" }],
    ["history --link=1", { ...live, what: "link-id", prefix: "1", before: "--link=" }],
    ["link detach 1 ", { ...live, what: "link-id", prefix: "" }],
    ["attach 5 xdp --iface=e", { ...live, what: "interface", prefix: "e", before: "--iface=" }],
    ["attach 5 xdp -n /run/netns/a --iface e", { ...live, what: "interface", prefix: "e", netns: "/run/netns/a" }],
    ["attach 5 xdp --iface e|-n /run/netns/a", { ...live, what: "interface", prefix: "e", netns: "/run/netns/a" }],
    ["attach 5 xdp -n |-i lo", { ...live, what: "netns", prefix: "" }],
    ["link attach tc 5 |ingress -n /run/netns/a", { ...live, what: "interface", prefix: "", netns: "/run/netns/a" }],
    ["attach 5 uprobe -t libc -f mal", { ...live, what: "target-function", prefix: "mal", file: "libc" }],
    [
      "link attach uprobe 5 /bin/sh -f=m",
      { ...live, what: "target-function", prefix: "m", before: "-f=", file: "/bin/sh" },
    ],
    ["dispatcher get xdp 40", { ...live, what: "dispatcher-nsid", prefix: "40" }],
    ["program load file --programs |x.o", { ...live, what: "object-program", prefix: "", file: "x.o" }],
    ["load file --path x.o --programs tc", { ...live, what: "object-program", prefix: "tc", file: "x.o" }],
    [
      "program load x.o --programs xdp:a,tc",
      { ...live, what: "object-program", prefix: "tc", file: "x.o", before: "xdp:a," },
    ],
    ["load file -p x.o --set A=1 B", { ...live, what: "object-global", prefix: "B", file: "x.o" }],
    ["program load x.o --set B", { ...live, what: "object-global", prefix: "B", file: "x.o" }],
    ["check x.o --set B", { ...live, what: "object-global", prefix: "B", file: "x.o" }],
    ["program load file x.o -g A=1,B", { ...live, what: "object-global", prefix: "B", file: "x.o", before: "A=1," }],
    ["get link 5 x", null],
  ])("%j", async (line, wanted) => {
    const found = await liveAt(line);
    if (wanted === null) expect(found).toBeNull();
    else expect(found).toMatchObject(wanted);
  });

  test("files are the shell's business", async () => {
    expect((await at("load file --path x")).paths).toEqual({ kind: "files", before: "" });
    expect((await at("load file --path=x")).paths).toEqual({ kind: "files", before: "--path=" });
    expect((await at("program load file x")).paths).toEqual({ kind: "files", before: "" });
    expect((await at("--runtime-dir ")).paths).toEqual({ kind: "directories", before: "" });
    expect((await at("image build x linux/amd64=b")).paths).toEqual({ kind: "files", before: "linux/amd64=" });
    expect((await at("image build x b")).paths).toEqual({ kind: "files", before: "" });
    expect(await at("image build x linux/am")).toMatchObject({
      candidates: [{ value: "linux/amd64=" }],
      open: true,
      paths: null,
    });
    expect((await at("completions out")).paths).toEqual({ kind: "directories", before: "" });
    expect(await valuesAt("completions ")).toEqual(["bash", "zsh", "fish", "elvish", "powershell"]);
    expect((await at("man ")).paths).toEqual({ kind: "directories", before: "" });
  });
});

describe("__complete", () => {
  test("puts live values behind what stands before them, made safe", async () => {
    const values = [
      { value: "7", description: "a\nb (xdp)" },
      { value: "9", description: "" },
    ];
    const run = await cli(["__complete", "words", "--", "get", "program", ""], { answer: () => ({ values }) });
    expect([run.code, run.out]).toEqual([0, "words\t\n7\ta\\nb (xdp)\n9\t\n"]);
    expect(run.calls[0]?.request).toEqual({
      what: "program-id",
      prefix: "",
      netns: null,
      file: null,
      programId: null,
      attachKind: null,
    });
  });
  test("offers the kind that fits the program, and all where nobody knows", async () => {
    const offered = async (answer: () => unknown): Promise<string[]> => {
      const { out } = await cli(["__complete", "words", "--", "attach", "5", ""], { answer });
      const lines = out.trimEnd().split("\n").slice(1);
      return lines.map((line) => line.split("\t")[0] ?? "");
    };
    const fits = (...kinds: string[]) => ({ values: kinds.map((value) => ({ value, description: "" })) });
    expect(await offered(() => fits("tcx"))).toEqual(["tcx"]);
    expect(await offered(() => fits())).toEqual(ATTACH_KINDS);
    expect(
      await offered(() => {
        throw new BpfmanError("PERMISSION_DENIED", "no");
      }),
    ).toEqual(ATTACH_KINDS);
  });
  test("asks where the options on the line say", async () => {
    const placed = async (...words: string[]) =>
      (await cli(["__complete", ...words], { env: { BPFMAN_RUNTIME_DIR: "/env", HOME: "/home/of" } })).connected[0];
    expect(await placed("words", "--", "--runtime-dir", "/r", "get", "program", "")).toMatchObject({
      runtimeDir: "/r",
    });
    expect(await placed("words", "--", "get", "program", "--state-dir=/s", "")).toMatchObject({
      runtimeDir: "/env",
      stateDir: "/s",
    });
    expect(await placed("words", "--at", "3", "--", "get", "program", "", "--config", "/c")).toMatchObject({
      configFile: "/c",
    });
    expect(await placed("line", "--", "bpfman get program 5", "7 --runtime-dir /r ")).toMatchObject({
      runtimeDir: "/r",
    });
    expect(await placed("words", "--", "get", "program", "")).toMatchObject({ runtimeDir: "/env", stateDir: null });
  });
  test("takes a tilde for the home directory, as the shells do", async () => {
    const run = await cli(["__complete", "words", "--", "load", "file", "-p", "~/x.o", "--programs", ""], {
      answer: () => ({ values: [] }),
    });
    expect(run.calls[0]?.request).toMatchObject({ file: join(homedir(), "x.o") });
  });
  test("says nothing when nobody can be asked", async () => {
    const refuse = (): never => {
      throw new BpfmanError("PERMISSION_DENIED", "no");
    };
    expect(await cli(["__complete", "words", "--", "get", "program", ""], { refuse })).toMatchObject({
      code: 0,
      out: "words\t\n",
      err: "",
    });
  });
  test("takes a line apart as a shell does", () => {
    expect(splitShellWords("bpfman lo")).toEqual(["bpfman", "lo"]);
    expect(splitShellWords("bpfman  load ")).toEqual(["bpfman", "load", ""]);
    expect(splitShellWords(`a 'b c' "d \\"e" f\\ g '' "h i`)).toEqual(["a", "b c", 'd "e', "f g", "", "h i"]);
    expect(splitShellWords("")).toEqual([""]);
  });
});
