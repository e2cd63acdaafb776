import { describe, expect, test } from "bun:test";
import { ROOT } from "../../../src/cli/commands.ts";
import { completeLine } from "../../../src/cli/complete.ts";
import { splitShellWords } from "../../../src/cli/shell-words.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { cli } from "../../fakes/cli-host.ts";

/** What stands behind the last blank is the word at the cursor. */
const at = (line: string) => {
  const words = line.split(" ");
  return completeLine(ROOT, words.slice(0, -1), words.at(-1) ?? "");
};
const valuesAt = async (line: string) => (await at(line)).candidates.map((candidate) => candidate.value);
const liveAt = async (line: string) => (await at(line)).live;

describe("commands", () => {
  test.each([
    [
      "",
      [
        "load",
        "unload",
        "attach",
        "detach",
        "list",
        "get",
        "program",
        "link",
        "dispatcher",
        "image",
        "rpc",
        "version",
        "help",
      ],
    ],
    ["l", ["load", "list", "link"]],
    ["load ", ["file", "image"]],
    ["program load ", ["file", "image"]],
    ["-o json list pr", ["programs"]],
    ["--runtime-dir /x list pr", ["programs"]],
    ["attach 5 t", ["tc", "tcx", "tracepoint"]],
    ["link attach f", ["fentry", "fexit"]],
    ["help attach tc", ["tc", "tcx"]],
    ["help nothing ", []],
    ["nonsense ", []],
    ["list nonsense ", []],
  ])("%j", async (line, wanted) => expect(await valuesAt(line)).toEqual(wanted));

  test("hidden ones are not offered, and work", async () => {
    expect(await valuesAt("comp")).toEqual([]);
    expect(await valuesAt("completions -s ")).toEqual(["bash", "zsh", "fish"]);
  });
});

describe("options and their words", () => {
  test.each([
    ["attach 5 xdp --", ["--iface", "--priority", "--proceed-on", "--netns", "--metadata", "--output"]],
    ["attach 5 xdp --iface eth0 --", ["--priority", "--proceed-on", "--netns", "--metadata", "--output"]],
    ["link --ki", ["--kind"]],
    ["link --kind x", ["xdp"]],
    ["program -q --at", ["--attached"]],
    ["attach 5 xdp --proceed-on pass dr", ["drop"]],
    ["link attach xdp 5 eth0 --proceed-on pass,d", ["pass,drop", "pass,dispatcher_return"]],
    ["link attach xdp 5 eth0 --proceed-on pass,pa", []],
    ["list programs --output=j", ["--output=json"]],
    ["list programs -o ", ["text", "json"]],
    ["list programs --nonsense=", []],
    ["link attach tc 5 eth0 ", ["ingress", "egress"]],
    ["attach 5 xdp -- --", []],
    [
      "load file --programs ",
      [
        "xdp:",
        "tc:",
        "tcx:",
        "tracepoint:",
        "kprobe:",
        "kretprobe:",
        "uprobe:",
        "uretprobe:",
        "fentry:",
        "fexit:",
        "lsm:",
      ],
    ],
  ])("%j", async (line, wanted) => expect((await valuesAt(line)).slice(0, Math.max(wanted.length, 1))).toEqual(wanted));

  test("descriptions are the first sentence of their help, without the word before it", async () => {
    const [iface] = (await at("attach 5 xdp --iface")).candidates;
    expect(iface?.description).toBe("Interface to load program on.");
  });
  test("where nothing else can stand, options are shown; help comes last", async () => {
    const values = await valuesAt("get program 5 ");
    expect([values.includes("--output"), values.at(-1)]).toEqual([true, "--help"]);
  });
});

describe("live values", () => {
  const live = { before: "", netns: null, file: null };
  test.each([
    ["attach ", { ...live, what: "program-id", prefix: "" }],
    ["attach 5 tracepoint -t sched/", { ...live, what: "tracepoint", prefix: "sched/" }],
    ["link attach kprobe 5 vfs_", { ...live, what: "kernel-function", prefix: "vfs_" }],
    ["unload 5 6 7", { ...live, what: "program-id", prefix: "7" }],
    ["link detach 1 ", { ...live, what: "link-id", prefix: "" }],
    ["attach 5 xdp --iface=e", { ...live, what: "interface", prefix: "e", before: "--iface=" }],
    ["attach 5 xdp -n /run/netns/a --iface e", { ...live, what: "interface", prefix: "e", netns: "/run/netns/a" }],
    ["load file --path x.o --programs tc", { ...live, what: "object-program", prefix: "tc", file: "x.o" }],
    [
      "program load x.o --programs xdp:a,tc",
      { ...live, what: "object-program", prefix: "tc", file: "x.o", before: "xdp:a," },
    ],
    ["program load file x.o -g A=1,B", { ...live, what: "object-global", prefix: "B", file: "x.o", before: "A=1," }],
    ["get link 5 x", null],
  ])("%j", async (line, wanted) => expect(await liveAt(line)).toEqual(wanted as never));

  test("files are the shell's business", async () => {
    expect((await at("load file --path x")).paths).toEqual({ kind: "files", before: "" });
    expect((await at("load file --path=x")).paths).toEqual({ kind: "files", before: "--path=" });
    expect((await at("program load file x")).paths).toEqual({ kind: "files", before: "" });
    expect((await at("--runtime-dir ")).paths).toEqual({ kind: "directories", before: "" });
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
    expect(run.calls[0]?.request).toEqual({ what: "program-id", prefix: "", netns: null, file: null });
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
