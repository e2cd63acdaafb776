/** Commands of other tools are rejected with what to type instead, and that command exists. */
import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { insteadOf } from "../../../src/cli/habits.ts";
import { cli } from "../../fakes/cli-host.ts";
import { read } from "../../documents/document.ts";

const LINES: readonly (readonly [line: string, instead: string])[] = [
  // bpftool
  ["prog show", "bpfman list programs --all"],
  ["p", "bpfman list programs --all"],
  ["-jp prog list", "bpfman list programs --all"],
  ["-jp prog list", 'for JSON, type "-o json"'],
  ["--runtime-dir /x -o text prog", "bpfman list programs --all"],
  ["prog show id 5", "bpfman get program ID"],
  ["prog load x.o /sys/fs/bpf/x", "bpfman load file --path OBJECT"],
  ["prog loadall x.o /sys/fs/bpf/x pinmaps /sys/fs/bpf/m", "bpfman load file --path OBJECT"],
  ["prog attach id 5 msg_verdict", "bpfman attach ID KIND"],
  ["prog dump xlated id 5", "use bpftool"],
  ["net", "bpfman list links"],
  ["net show dev eth0", "bpfman dispatcher list"],
  ["net attach xdp id 5 dev eth0", "bpfman attach ID xdp --iface IFACE"],
  ["net detach xdp dev eth0", "bpfman detach LINK_ID"],
  ["map show id 7", "bpfman map get MAP"],
  ["map dump id 7", "a map is one word"],
  ["map lookup id 7 key 0 0 0 0", "a map is one word"],
  ["map pop id 7", "bpfman map lookup QUEUE"],
  ["m dump id 7", "a map is one word"],
  ["feature probe", "bpfman version -o json"],
  ["btf dump id 1", "use bpftool"],
  ["gen skeleton x.o", "use bpftool"],
  ["iter pin x.o /sys/fs/bpf/x", "bpfman iter LINK_ID"],
  ["cgroup tree", '"bpftool cgroup show PATH" shows all'],
  ["attach 5 sockops -c /x", 'the word for a sockops program is "cgroup": see "bpfman help attach cgroup"'],
  [
    "link attach cgroup_device 5 /x",
    'the word for a cgroup_device program is "cgroup": see "bpfman help attach cgroup"',
  ],
  ["cgroup attach /sys/fs/cgroup connect4 id 5", "bpfman attach ID cgroup --cgroup PATH"],
  ["cgroup detach /sys/fs/cgroup connect4 id 5", "bpfman detach LINK_ID"],
  ["perf show", "bpfman list links"],
  ["batch file x", "bpfman rpc"],
  ["link show", "bpfman list links"],
  ["link list id 5", "bpfman get link LINK_ID"],
  ["link detach id 5", "bpfman detach LINK_ID"],
  ["link pin id 5 /sys/fs/bpf/l", "bpfman get link LINK_ID -o json"],
  // xdp-loader
  ["status", "bpfman list links --program-type xdp"],
  ["status eth0", "bpfman dispatcher list --type xdp"],
  ["load -m skb eth0 x.o", "bpfman run OBJECT xdp:NAME"],
  ["load eth0 x.o", "bpfman run OBJECT xdp:NAME"],
  ["unload eth0 --all", "bpfman dispatcher delete xdp NSID IFINDEX"],
  ["unload -a eth0", "bpfman detach LINK_ID"],
  ["unload eth0 --id 5", "bpfman detach LINK_ID"],
  ["unload --all", "bpfman program delete --all"],
  ["clean", "no cleanup is needed"],
  ["features eth0", "bpfman version -o json"],
  // ip, tc
  ["link set dev eth0 xdp obj x.o sec xdp", "bpfman run OBJECT xdp:NAME --iface IFACE"],
  ["ip link set eth0 xdpgeneric off", "bpfman detach LINK_ID"],
  ["link set dev eth0 xdp none", "bpfman detach LINK_ID"],
  ["ip link show eth0", "bpfman list links --program-type xdp"],
  ["qdisc add dev eth0 clsact", "not needed"],
  ["tc filter add dev eth0 ingress bpf da obj x.o sec tc", "bpfman run OBJECT tc:NAME --direction ingress"],
  ["filter show dev eth0 ingress", "bpfman list links --program-type tc"],
  ["filter del dev eth0 ingress", "bpfman detach LINK_ID"],
  // Any tool.
  ["show", "bpfman list programs"],
  ["ls", "bpfman list programs"],
  ["delete 5", "bpfman program delete ID"],
  ["program show 5", '"get" with an id'],
  ["xdp", "bpfman attach ID KIND"],
  ["pull quay.io/a/b", "bpfman image pull --image-url IMAGE"],
  ["build x.o", "bpfman image build"],
  ["verify quay.io/a/b", "bpfman image verify IMAGE"],
  ["sign quay.io/a/b", "sign with cosign"],
  ["detach --all", "bpfman dispatcher delete TYPE NSID IFINDEX"],
  ["detach -a", "bpfman program delete --all"],
  ["link detach --all", "bpfman link list -q"],
  ["link delete --all", "bpfman program delete --all"],
  ["program unload --all", "bpfman program delete --all"],
  ["list programs --type xdp", "bpfman list programs --program-type TYPE"],
  ["list programs --type=xdp", "bpfman program list --type TYPE"],
  ["list links --kind xdp", "bpfman link list --kind TYPE"],
  ["list programs --attached", "bpfman program list"],
  ["list links --program-id 5", "bpfman link list --program-id ID"],
  ["image push quay.io/a/b", "bpfman image build"],
  ["image ls", "bpfman image list"],
  ["list maps", "bpfman map list"],
  ["list links --iface eth0", "bpfman list links"],
  ["link list -i eth0", "bpfman list links"],
  ["list links eth0", "bpfman list links"],
  ["unload 5 --force", "--ignore-missing"],
  ["logs", "--log-level debug"],
  ["config show", "/etc/bpfman/bpfman.toml"],
  ["completion bash", "bpfman completions SHELL"],
  ["list programs --json", "-o json"],
  ["get program 5 -j", "-o json"],
  ["list programs -v", "--log-level debug"],
  ["-v", "--version"],
  // bpfman: older and newer, and one grammar with words of the other.
  ["reload 5", "bpfman program replace ID --path FILE"],
  ["program run x.o xdp:a", "bpfman run OBJECT TYPE:NAME"],
  ["forget 3", "bpfman restore --forget link:ID"],
  ["run x.o --programs xdp:a -i eth0", "programs are words, not options"],
  ["run --path x.o xdp:a -i eth0", "the file is a word, not an option"],
  ["load x.o", "bpfman run OBJECT xdp:NAME"],
  ["load file --path x.o --name pass xdp --iface eth0 --priority 50", "bpfman run OBJECT TYPE:NAME"],
  ["load image -i quay.io/a/b -n pass tc -d ingress -i eth0 -p 50", "bpfman run OBJECT TYPE:NAME"],
  ["get 5", "bpfman get program ID"],
  ["list -a", "bpfman list programs"],
  ["load-from-file -p x.o", "bpfman load file"],
  ["load-from-image -i x", "bpfman load image"],
  ["pull-bytecode -i x", "bpfman image pull"],
  ["daemon", "bpfman serve"],
  ["--socket-path /run/x.sock", "bpfman serve"],
  ["system service", "bpfman rpc"],
  ["gc", "no cleanup is needed"],
  ["link attach 5 xdp eth0", "bpfman link attach KIND ID"],
  ["link attach xdp 5 --iface eth0 -p 50", "bpfman link attach tc ID IFACE DIRECTION"],
  ["link attach tc 5 eth0 -d ingress -p 50", "bpfman link attach tc ID IFACE DIRECTION"],
  ["link attach uprobe 5 --target=libc", "bpfman link attach uprobe ID TARGET"],
  ["link attach kprobe 5 -f vfs_read", "bpfman link attach kprobe ID FUNCTION"],
  ["attach xdp 5 eth0", "bpfman attach ID KIND"],
  ["attach 5 tcx eth0 ingress", "bpfman attach ID xdp --iface IFACE"],
  ["attach 5 --iface eth0 xdp", "the kind comes before its options"],
  ["program load file --path x.o --programs xdp:a", "bpfman program load file PATH"],
  ["program load -p x.o --programs xdp:a", "bpfman program load file PATH"],
  ["program load image -i a --programs xdp:a", "bpfman program load image IMAGE"],
  ["image inspect -i a", "bpfman image inspect IMAGE"],
  ["image verify --key k.pub --image-url=a", "bpfman image verify IMAGE"],
  ["program attach 5 xdp", "bpfman link attach KIND ID"],
  ["program detach 5", "bpfman link detach LINK_ID"],
  ["link unload 5", "bpfman program unload ID"],
  ["image load a", "bpfman program load image IMAGE"],
  ["list dispatchers", "bpfman dispatcher list"],
  ["get dispatcher xdp 1 2", "bpfman dispatcher get TYPE NSID IFINDEX"],
  // Words of any tool, on commands that are there
  ["apply -f x.yaml", "bpfman apply PATH"],
  ["apply --filename=x.yaml", "bpfman apply PATH"],
  ["get programs", "bpfman list programs"],
  ["export out.yaml", "bpfman export --bundle PATH"],
  ["stats --for 1s", "bpfman stats --interval 10s"],
  ["stats 5 --watch", "bpfman top"],
  ["top -d 1", "bpfman top --interval 5s"],
  ["trace -f", "leave that option out"],
  ["map events 5 --follow", "leave that option out"],
  ["trace count", "bpfman trace"],
  ["watch programs", "bpfman list programs"],
  ["history --last 5", "bpfman history -n 5"],
  ["history 5", "bpfman history -n 5"],
  ["doctor --fix", "bpfman repair"],
  ["repair --yes", "bpfman repair --dry-run"],
  ["restore --all", "bpfman restore"],
  ["image prune --all", "bpfman image prune"],
  ["list events", "bpfman history"],
  ["metrics --listen :9100", "bpfman serve --metrics-socket PATH"],
  ["map flush counters", "bpfman map clear MAP"],
  ["map lookup counters key 0", "bpfman map lookup MAP KEY"],
  ["map update counters key 0 value 5", "bpfman map update MAP KEY VALUE"],
];

/** What stands for the words in capitals when the advice is tried. */
const VALUES: readonly (readonly [placeholder: RegExp, value: string])[] = [
  [/\b(LINK_ID|ID|NSID|IFINDEX)\b/g, "5"],
  [/\bTYPE:NAME\b/g, "xdp:a"],
  [/\bNAME\b/g, "a"],
  [/\bTYPE\b/g, "xdp"],
  [/\bIFACE\b/g, "eth0"],
  [/\b(OBJECT|PATH)\b/g, "x.o"],
  [/\bIMAGE\b/g, "quay.io/a/b"],
  [/\bSHELL\b/g, "bash"],
  [/\b(TARGET|FUNCTION)\b/g, "a"],
  [/\bDIRECTION\b/g, "ingress --priority 1"],
];
const valued = (command: string): string =>
  VALUES.reduce((words, [placeholder, value]) => words.replaceAll(placeholder, value), command);

const NOT_UNDERSTOOD = /^try "bpfman.* --help"$/m;

const hintOf = (error: string): string | undefined => /^hint: (.*)$/m.exec(error)?.[1];

describe("a line of another tool", () => {
  test.each(LINES)("%s", async (line, instead) => {
    const run = await cli(line);
    const noun = /^(link|program|image (inspect|verify))\b/.test(line);
    expect([run.code, run.out, run.connected]).toEqual([noun ? 1 : 2, "", []]);
    expect(hintOf(run.err)).toContain(instead);
  });

  test("is answered with commands that are understood", async () => {
    const advice = new Set(
      LINES.flatMap(([line]) => [...(insteadOf(line.split(" ")) ?? "").matchAll(/"bpfman ([^"]+)"/g)]).map(
        ([, command = ""]) => command,
      ),
    );
    expect(advice.size).toBeGreaterThan(30);
    for (const command of advice) {
      // Where the rest depends on the kind, or is left out, what comes before it must be there.
      const [, head] = /^([a-z]+(?: [a-z]+)*)(?: ID)? (?:KIND|\.\.\.)/.exec(command) ?? [];
      const whole = ["image pull", "image build", "load file", "load image", "image inspect"].includes(command);
      const { err } = await cli(head !== undefined || whole ? `help ${head ?? command}` : valued(command));
      expect([command, NOT_UNDERSTOOD.test(err)]).toEqual([command, false]);
    }
  });

  test("has its counterpart in docs/differences.md, which is understood as well", async () => {
    const page = read("docs/differences.md");
    const rows = page.slice(page.indexOf("## From bpftool")).matchAll(/^\| `.* \| (.*) \|$/gm);
    const spans = [...rows].flatMap(([, there = ""]) => [...there.matchAll(/`([a-z]+ [^`]*|[a-z]+)`/g)]);
    const commands = spans.map(([, command = ""]) => command).filter((command) => !/^(priority|tcx?)$/.test(command));
    expect(commands.length).toBeGreaterThan(25);
    for (const command of commands.filter((each) => each !== "get program" && each !== "link update")) {
      const line = valued(command.replaceAll(/\bN\b/g, "5").replace("OBJ ", "x.o "));
      expect([command, NOT_UNDERSTOOD.test((await cli(line)).err)]).toEqual([command, false]);
    }
  });

  test("that is understood needs no advice", async () => {
    for (const line of [
      "load file --path x --programs xdp:a",
      "image inspect a",
      "list links",
      "link list",
      "get program 5",
    ]) {
      expect([line, insteadOf(line.split(" "))]).toEqual([line, null]);
    }
    expect((await cli("unload 5")).err).toBe("");
  });

  test("that names what is there for another tool gets its advice; a misspelt name does not", async () => {
    const failing = (hint: string) => () => {
      throw new BpfmanError("PROGRAM_NOT_FOUND", "no", { details: { named: "eth0" }, hint });
    };
    for (const [line, instead] of [
      ["unload eth0", "bpfman detach LINK_ID"],
      ["link attach xdp eth0 5 -p 50", "bpfman link attach KIND ID PLACE"],
      ["link attach tracepoint sched/sched_switch 5", "bpfman link attach KIND ID PLACE"],
    ] as const) {
      const hint = hintOf((await cli(line, { answer: failing("there are: a") })).err);
      expect(hint).toStartWith("there are: a; ");
      expect(hint).toContain(`"${instead}"`);
    }
    expect((await cli("unload eth0", { answer: failing('did you mean "eth1"?') })).err).not.toContain("LINK_ID");
  });

  test("with another mistake in it keeps the hint for that", async () => {
    for (const [line, hint] of [
      ["load file --path x.o", undefined],
      ["image build", undefined],
      ["program list --typ xdp", 'did you mean "--type"?'],
      ["attach -o json 5 xdp --ifce eth0", undefined],
    ] as const) {
      const { err } = await cli(line);
      expect([line, insteadOf(line.split(" ")), err]).toEqual([line, null, expect.stringContaining(hint ?? "")]);
    }
  });
});

/** The objects and commands of the bpftool and xdp-loader that are installed, by their own help. */
describe("every command of", () => {
  const help = (...command: readonly string[]): string => {
    const { stdout, stderr } = Bun.spawnSync([...command, "help"], { stdout: "pipe", stderr: "pipe" });
    return `${stdout}${stderr}`;
  };
  /** `{ show | list }` stands for both. */
  const commandsIn = (usage: string, start: string): string[] =>
    [...usage.matchAll(RegExp(`${start} (?:\\{ ([^}]*) \\}|([a-z_]+))`, "g"))].flatMap(([, several, one]) =>
      (several ?? one ?? "").split(" | "),
    );
  const answered = async (line: string): Promise<void> => {
    const { err } = await cli(line);
    const served = !NOT_UNDERSTOOD.test(err);
    expect([line, served || insteadOf(line.split(" ")) !== null]).toEqual([line, true]);
  };

  test.skipIf(Bun.which("bpftool") === null)("bpftool is served, or answered", async () => {
    const [, objects = ""] = /OBJECT := \{ (.*) \}/.exec(help("bpftool")) ?? [];
    expect(objects.split(" | ").length).toBeGreaterThan(8);
    for (const object of objects.split(" | ")) {
      const commands = commandsIn(help("bpftool", object), `bpftool ${object}`).filter((name) => name !== "help");
      expect([object, commands.length > 0]).toEqual([object, true]);
      for (const command of ["", ...commands]) await answered(`${object} ${command} id 5`.replace(/ {2}.*/, ""));
    }
  });

  test.skipIf(Bun.which("xdp-loader") === null)("xdp-loader is served, or answered", async () => {
    const commands = [...help("xdp-loader").matchAll(/^ +([a-z]+) +- /gm)].map(([, name = ""]) => name);
    expect(commands).toContain("status");
    for (const command of commands) await answered(`${command} eth0 x.o`.replace(/^help .*/, "help"));
  });
});

describe("colours", () => {
  test("are for terminals that want them", async () => {
    const red = "\x1b[1;31merror:\x1b[0m unknown command";
    expect((await cli("lsit", { terminal: true })).err).toStartWith(red);
    expect((await cli("lsit")).err).toStartWith("error: unknown command");
    expect((await cli("lsit", { terminal: true, env: { NO_COLOR: "1" } })).err).toStartWith("error: unknown");
    expect((await cli("lsit", { terminal: true, env: { TERM: "dumb" } })).err).toStartWith("error: unknown");
    expect((await cli("program lsit", { terminal: true })).err).toStartWith("\x1b[1;31mbpfman: error:\x1b[0m");
  });
});
