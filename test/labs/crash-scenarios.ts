/** What the crash walk interrupts: each writing operation, on each kind of hook, with what must run before and after it. */
import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { DispatcherListAnswer, LoadAnswer, ProgramAnswer } from "../../src/domain/answer.ts";
import type { OperationName } from "../../src/service/operations.ts";
import { LIFE_OBJECT } from "../servers/put-bytecode.ts";
import { verdictOf, type Watch, type Wire, watchMembers } from "./chain-lab.ts";
import type { CgroupLab } from "./cgroup-lab.ts";
import { type Executable, idOf, mapOf } from "./executable.ts";
import { noExtensions } from "./extension-test.ts";
import { missingFeature } from "./kernel-feature.ts";
import { counters, inKernel, sh, until } from "./kernel-lab.ts";
import { RpcProcess } from "./rpc-process.ts";
import { tcxAvailable } from "./tcx-test.ts";
import { KERNEL_FUNCTION, LSM_HOOK, TRACEPOINT, USER_FUNCTION, type Workload } from "./workload.ts";

const fixture = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const CHAIN = fixture("chain");
const KINDS = fixture("kinds");
const CGROUP = fixture("cgroup");
const MAP_VALUES = fixture("map_values");
const REPLACED = fixture("freplace");
/** The verdict of the program in it that replaces a function. */
const XDP_TX = 3;

/** What can be seen of a machine: the lists of bpfman, and what ran when there was something to run for. */
export interface Picture {
  readonly programs: readonly string[];
  readonly links: readonly string[];
  readonly running: readonly string[];
  /** Keys and values of the map that a scenario is about. */
  readonly entries: readonly string[];
  readonly cached: boolean;
}

/** What has come back to the state before or after a command. */
export interface Scenario {
  /** Its row in the table. */
  readonly name: string;
  readonly operation: OperationName | "rpc";
  /** Why it cannot run on this kernel. */
  readonly obstacle: string | null;
  /** From a machine with nothing but the bystander, to the state before the command. */
  prepare(lane: Lane): Promise<void>;
  words(lane: Lane): Promise<readonly string[]>;
  /** Runs the command, with this in front of it. By default the one of `words`. */
  run?(lane: Lane, tracer: readonly string[]): Promise<Ended>;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** Back from the state after it. By default everything is removed and prepared again. */
  undo?(lane: Lane): Promise<void>;
  /** The change that puts right what the interrupted command left, after which the state after it is there. By default any. */
  finish?(lane: Lane): Promise<void>;
  /** Nobody has used bpfman here before, and nothing else is loaded. */
  readonly untouched?: true;
  /**
   * What may be after an error or a kill, besides the state before it. By default an error is as if nothing had been asked
   * for, and a kill comes before all of it or after all of it. `after`: an error may also be finished by the next change, as
   * that of a removal is. `partly`: the command is several changes, each by itself.
   */
  readonly interrupted?: "after" | "partly";
}

export interface Ended {
  /** Above 128 when a signal ended it. */
  readonly code: number;
  readonly error: string;
}

type Hook = "xdp" | "tc" | "tcx";
/** What lets the next member run. */
const PROCEED: Readonly<Record<Hook, number>> = { xdp: 2, tc: 0, tcx: -1 };
/** Slots of `events`, in kinds.bpf.c and cgroup.bpf.c. An iterator counts nothing: its output shows that it runs. */
const SLOTS = {
  tracepoint: 0,
  kprobe: 1,
  kretprobe: 2,
  uprobe: 4,
  uretprobe: 5,
  fentry: 6,
  fexit: 8,
  lsm: 9,
  raw_tp: 13,
  tp_btf: 15,
  fmod_ret: 16,
  "kprobe.multi": 21,
  cgroup_sysctl: 26,
  iter: null,
} as const;
type Event = keyof typeof SLOTS;
const EVENT_KINDS = Object.keys(SLOTS) as Event[];
const BYSTANDER = "tracepoint";

/** What a walk has for itself, beside others. */
interface Equipment {
  readonly bpfman: Executable;
  readonly wire: Wire;
  readonly work: Workload;
  readonly cgroups: CgroupLab;
  /** The name of an image on a registry. */
  readonly image: () => Promise<string>;
}

/** A machine, as far as a walk sees it: directories, namespaces and a cable of its own, and what was loaded there. */
export class Lane {
  readonly bpfman: Executable;
  readonly wire: Wire;
  readonly work: Workload;
  readonly cgroups: CgroupLab;
  readonly image: Equipment["image"];
  readonly #ids = new Map<string, number>();
  readonly #events = new Map<number, number[]>();
  #watch: Watch | null = null;
  #map: string | null = null;
  #spare: number | null = null;
  #rebooted = false;
  #whole: number | null = null;
  #cgroup: string | null = null;
  #volume: string | null = null;

  constructor({ bpfman, wire, work, cgroups, image }: Equipment) {
    this.bpfman = bpfman;
    this.wire = wire;
    this.work = work;
    this.cgroups = cgroups;
    this.image = image;
  }

  id(name: string): string {
    return String(this.#ids.get(name));
  }

  async loadMembers(hook: Hook, count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, number) => `${hook === "xdp" ? "xdp" : "tc"}_member_${number}`);
    const programs = await this.bpfman.load(CHAIN, "--programs", ...names.map((name) => `${hook}:${name}`));
    names.forEach((name, number) => void this.#ids.set(String(number), idOf(programs, name)));
    this.#watch = watchMembers((name) => mapOf(programs, name));
    this.#watch.setVerdicts(Object.fromEntries(names.map((_, number) => [number, PROCEED[hook]])));
  }

  async loadEvent(kind: Event): Promise<void> {
    if (kind === "cgroup_sysctl") {
      const programs = await this.bpfman.load(CGROUP, "--programs", "on_sysctl");
      this.#ids.set(kind, idOf(programs, "on_sysctl"));
      this.#events.set(mapOf(programs, "events"), []);
      const name = `crash-${this.work.nameHex}`;
      if (!existsSync(this.cgroups.pathOf(name))) this.cgroups.make(name);
      this.#cgroup = this.cgroups.pathOf(name);
      return;
    }
    if (kind === "iter") {
      this.#ids.set(kind, idOf(await this.bpfman.load(KINDS, "--programs", "write_maps"), "write_maps"));
      return;
    }
    const target = {
      fentry: `:${KERNEL_FUNCTION}`,
      fexit: `:${KERNEL_FUNCTION}`,
      fmod_ret: `:${KERNEL_FUNCTION}`,
      lsm: `:${LSM_HOOK}`,
    };
    const name = `count_${kind.replace(".", "_")}`;
    const selector = `${kind}:${name}${kind in target ? target[kind as keyof typeof target] : ""}`;
    const programs = await this.bpfman.load(KINDS, "--programs", selector, "-g", `WORKLOAD=${this.work.nameHex}`);
    this.#ids.set(kind, idOf(programs, name));
    this.#events.set(mapOf(programs, "events"), []);
  }

  /** A program with a map that has these entries. */
  async loadMap(entries: readonly string[]): Promise<void> {
    const programs = await this.bpfman.load(MAP_VALUES, "--programs", "xdp:use_all");
    this.#map = `${idOf(programs, "use_all")}/names`;
    for (const key of entries) await this.bpfman.ok("map", "update", this.#map, `"${key}"`, "1");
  }

  /** A program with a function that another one replaces, and that one unless it is yet to be loaded. */
  async loadReplaced(parts: "whole" | "both"): Promise<void> {
    this.#whole = idOf(await this.bpfman.load(REPLACED, "--programs", "xdp:whole"), "whole");
    if (parts === "whole") return;
    const programs = await this.bpfman.load(REPLACED, "--programs", `freplace:send_back:${this.#whole}/decide`);
    this.#ids.set("send_back", idOf(programs, "send_back"));
  }

  /** A program whose map is in a volume. */
  async loadForVolume(): Promise<void> {
    await this.bpfman.load(MAP_VALUES, "--programs", "xdp:use_all", "-m", "bpfman.io/ProgramName=crash");
    this.#volume = this.bpfman.path("volume");
  }

  publish(tracer: readonly string[]): Promise<Ended> {
    const volume = { ...this.#place(), program: "crash", maps: ["names"], readOnly: true };
    return inSession(this, tracer, {}, (server) => server.call("volume/publish", volume));
  }

  unpublish(tracer: readonly string[]): Promise<Ended> {
    return inSession(this, tracer, {}, (server) => server.call("volume/unpublish", this.#place()));
  }

  #place() {
    return { volumeId: "crash", targetPath: this.#volume };
  }

  onMap(verb: string, ...words: readonly string[]): string[] {
    return ["map", verb, String(this.#map), ...words];
  }

  async #entries(): Promise<string[]> {
    if (this.#map === null) return [];
    const entries: unknown[] = await this.bpfman.json(...this.onMap("dump"));
    return entries.map((entry) => JSON.stringify(entry)).sort();
  }

  attachMember(hook: Hook, member: number, priority: number): string[] {
    const direction = hook === "xdp" ? [] : ["-d", "ingress"];
    const place = ["-i", "veth0", "-n", this.wire.netns(), "-p", String(priority), ...direction];
    return ["attach", this.id(String(member)), hook, ...place];
  }

  attachEvent(kind: Event): string[] {
    const words: Readonly<Record<Event, readonly string[]>> = {
      tracepoint: ["tracepoint", "--tracepoint", TRACEPOINT],
      kprobe: ["kprobe", "--fn-name", KERNEL_FUNCTION],
      kretprobe: ["kprobe", "--fn-name", KERNEL_FUNCTION],
      uprobe: ["uprobe", "--target", this.work.binary, "--fn-name", USER_FUNCTION],
      uretprobe: ["uprobe", "--target", this.work.binary, "--fn-name", USER_FUNCTION],
      fentry: ["fentry"],
      fexit: ["fexit"],
      lsm: ["lsm"],
      raw_tp: ["raw_tp", "--tracepoint", "sys_enter"],
      tp_btf: ["tp_btf"],
      fmod_ret: ["fmod_ret"],
      "kprobe.multi": ["kprobe.multi", "--fn-name", `${KERNEL_FUNCTION}*`],
      cgroup_sysctl: ["cgroup", "--cgroup", String(this.#cgroup)],
      iter: ["iter"],
    };
    return ["attach", this.id(kind), ...words[kind]];
  }

  /** The link of a member or of an event's program. */
  async link(name: string): Promise<string> {
    const { links } = await this.bpfman.ask("link/list", {});
    const found = links.find((link) => link.program_id === this.#ids.get(name));
    if (found === undefined) throw new Error(`nothing is attached of "${name}"`);
    return String(found.id);
  }

  /** Nothing of bpfman's but, unless nobody is to have used it, the bystander. */
  async clear(untouched: boolean): Promise<void> {
    this.#ids.clear();
    this.#events.clear();
    this.#watch = null;
    this.#map = null;
    this.#spare = null;
    this.#whole = null;
    this.#cgroup = null;
    if (this.#volume !== null) await this.unpublish([]);
    this.#volume = null;
    const { runtimeDir } = this.bpfman;
    // What waits would stay in the state directory.
    if (this.#rebooted) await this.bpfman.ok("restore");
    this.#rebooted = false;
    if (existsSync(join(runtimeDir, "state/bpfman.db"))) {
      await this.bpfman.ok("program", "delete", "--all", ...(untouched ? ["--unmount"] : []));
      await this.bpfman.expectNothingLeft();
    }
    if (untouched) {
      if (existsSync(runtimeDir))
        for (const name of readdirSync(runtimeDir)) rmSync(join(runtimeDir, name), { recursive: true });
      return;
    }
    this.forgetImages();
    await this.loadEvent(BYSTANDER);
    await this.bpfman.ok(...this.attachEvent(BYSTANDER));
  }

  forgetImages(): void {
    rmSync(join(this.bpfman.runtimeDir, "cache"), { recursive: true, force: true });
  }

  /** Leaves what a reboot leaves of these programs, each with its link. */
  async reboot(kinds: readonly Event[]): Promise<void> {
    for (const kind of kinds) {
      await this.loadEvent(kind);
      await this.bpfman.ok(...this.attachEvent(kind));
    }
    // What comes back has other maps.
    this.#events.clear();
    this.#rebooted = true;
    await this.bpfman.reboot();
  }

  /** A change that has to do with nothing here: a load or, next time, its unload. */
  async change(): Promise<void> {
    if (this.#spare !== null) {
      await this.bpfman.ok("unload", String(this.#spare));
      this.#spare = null;
      return;
    }
    const programs = await this.bpfman.load(LIFE_OBJECT, "--programs", "tcx:drop", "-a", "spare");
    this.#spare = idOf(programs, "drop");
  }

  /** Lets everything happen that programs wait for, and names those that ran; a chain's in their order. */
  async running(): Promise<string[]> {
    const ran: string[] = [];
    const watch = this.#watch;
    if (watch !== null) {
      watch.clear();
      const before = this.wire.received();
      this.wire.send(1);
      await until(() => this.wire.received() === before + 1);
      ran.push(...watch.seen().map(String));
    }
    if (this.#whole !== null && verdictOf(this.#whole) === XDP_TX) ran.push("send_back");
    await this.work.run(1);
    if (this.#cgroup !== null)
      sh("sh", "-c", 'echo $$ >"$1/cgroup.procs" && cat /proc/sys/kernel/ostype', "sh", this.#cgroup);
    for (const [map, old] of this.#events) {
      const now = countersIfThere(map);
      ran.push(
        ...EVENT_KINDS.filter((kind) => {
          const slot = SLOTS[kind] ?? -1;
          return (now[slot] ?? 0) > (old[slot] ?? 0);
        }),
      );
      this.#events.set(map, now);
    }
    if (this.#volume !== null && existsSync(join(this.#volume, "names"))) ran.unshift("volume");
    if (isIteratorPinned(join(this.bpfman.runtimeDir, "fs/links"))) ran.push("iter");
    return ran;
  }

  /** Whether the image is there, without its registry: as a whole then. */
  async #isCached(): Promise<boolean> {
    if (!existsSync(join(this.bpfman.runtimeDir, "cache"))) return false;
    const { code, error } = await this.bpfman.run("image", "pull", "-i", await this.image(), "-p", "Never");
    expect({ code, error: code === 3 ? "" : error }).toEqual({ code: code === 3 ? 3 : 0, error: "" });
    return code === 0;
  }

  async picture(): Promise<Picture> {
    const running = await this.running();
    const { programs } = await this.bpfman.ask("program/list", {});
    const { links } = await this.bpfman.ask("link/list", {});
    return {
      running,
      programs: programs.flatMap((each) => (each.application === "spare" ? [] : each.function_name)).sort(),
      links: links
        .map(({ kind, function_name: name, details }) => {
          const place = "position" in details ? ` ${details.position} ${details.priority}` : "";
          return `${kind} ${name}${place}${"proceed_on" in details ? ` ${details.proceed_on}` : ""}`;
        })
        .sort(),
      entries: await this.#entries(),
      cached: await this.#isCached(),
    };
  }
}

/** Talks to the executable as a server, with the tracer in front of it. */
async function inSession(
  lane: Lane,
  tracer: readonly string[],
  params: Readonly<Record<string, unknown>>,
  work: (server: RpcProcess) => Promise<unknown>,
): Promise<Ended> {
  const server = new RpcProcess([...tracer, ...lane.bpfman.command("rpc")]);
  try {
    await server.initialize(params);
    await work(server);
    await server.call("shutdown");
  } catch {
    // It was killed meanwhile, or refused something.
  }
  const { code, error } = await server.close();
  const refusals = server.heard.messages.flatMap(({ error: refusal }) =>
    refusal === undefined ? [] : `${refusal.data?.code}: ${refusal.message} (${refusal.data?.hint})`,
  );
  // A worker that was killed, as the server itself may be.
  const killed = code === null || refusals.some((refusal) => refusal.startsWith("WORKER_LOST"));
  return { code: killed ? 137 : refusals.length > 0 ? 1 : code, error: `${error}${refusals.join("\n")}` };
}

/** Of the pins of links, only those of iterators can be read. */
function isIteratorPinned(directory: string): boolean {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.some((name) => {
    try {
      return readFileSync(join(directory, name)).length > 0;
    } catch {
      return false;
    }
  });
}

/** None of a map that is gone, or goes just now. */
function countersIfThere(map: number): number[] {
  try {
    return counters(map);
  } catch (thrown) {
    if (inKernel("map", map)) throw thrown;
    return [];
  }
}

const MEMBER_HOOKS: Readonly<Record<Hook, string | null>> = {
  xdp: null,
  tc: null,
  tcx: tcxAvailable ? null : "this kernel has no TCX",
};
const EVENTS: Readonly<Record<Event, string | null>> = {
  tracepoint: null,
  uprobe: null,
  uretprobe: null,
  kprobe: missingFeature("kprobe"),
  kretprobe: missingFeature("kprobe"),
  fentry: missingFeature("tracing"),
  fexit: missingFeature("tracing"),
  lsm: missingFeature("lsm"),
  raw_tp: null,
  tp_btf: missingFeature("tracing"),
  fmod_ret: missingFeature("tracing"),
  "kprobe.multi": / T register_fprobe$/m.test(readFileSync("/proc/kallsyms", "utf8"))
    ? null
    : "this kernel has no CONFIG_FPROBE",
  cgroup_sysctl: null,
  iter: missingFeature("tracing"),
};

interface OnHook {
  readonly hook: Hook;
  /** The members on the hook before, in their order. */
  readonly old: readonly number[];
  /** And after. */
  readonly next: readonly number[];
}

/** Members are attached in this distance from each other. */
const STEP = 10;
const named = (members: readonly number[]): string[] => [...members.map(String), BYSTANDER];

async function attachAll(lane: Lane, hook: Hook, members: readonly number[]): Promise<void> {
  for (const [place, member] of members.entries())
    await lane.bpfman.ok(...lane.attachMember(hook, member, (place + 1) * STEP));
}

/** A change of what is on one hook. Members are loaded once, and attached as they should be. */
function onHook(
  name: string,
  { hook, old, next }: OnHook,
  change: Pick<Scenario, "operation" | "words" | "undo" | "interrupted">,
): Scenario {
  const chained = hook !== "tcx" && Math.max(old.length, next.length) > 1;
  return {
    ...change,
    name: `${name} (${hook})`,
    obstacle: chained ? noExtensions : MEMBER_HOOKS[hook],
    async prepare(lane) {
      await lane.loadMembers(hook, Math.max(...old, ...next) + 1);
      await attachAll(lane, hook, old);
    },
    before: named(old),
    after: named(next),
  };
}

/** The first goes onto the hook, and the last comes off it, with so many others there. */
function changesBeside(hook: Hook, others: number): Scenario[] {
  const rest = Array.from({ length: others }, (_, number) => number + 1);
  const size = others === 0 ? "an empty hook" : others === 1 ? "a hook with one" : `a hook with ${others}`;
  const attach = (lane: Lane) => lane.attachMember(hook, 0, 0);
  const detach = async (lane: Lane) => ["detach", await lane.link("0")];
  return [
    onHook(
      `attach to ${size}`,
      { hook, old: rest, next: [0, ...rest] },
      {
        operation: "link/attach",
        words: async (lane) => attach(lane),
        undo: async (lane) => void (await lane.bpfman.ok(...(await detach(lane)))),
      },
    ),
    onHook(
      `detach, which leaves ${others === 0 ? "none" : others}`,
      { hook, old: [0, ...rest], next: rest },
      {
        operation: "link/detach",
        interrupted: "after",
        words: detach,
        undo: async (lane) => void (await lane.bpfman.ok(...lane.attachMember(hook, 0, STEP))),
      },
    ),
  ];
}

/** The first of so many becomes the last. */
function reorder(hook: Hook, size: number): Scenario {
  const old = Array.from({ length: size }, (_, number) => number);
  const update = async (lane: Lane, priority: number) => [
    "link",
    "update",
    await lane.link("0"),
    "-p",
    String(priority),
  ];
  return onHook(
    `link update, of ${size === 1 ? "one alone" : size}`,
    { hook, old, next: [...old.slice(1), 0] },
    {
      operation: "link/update",
      words: (lane) => update(lane, 900),
      undo: async (lane) => void (await lane.bpfman.ok(...(await update(lane, STEP)))),
    },
  );
}

/** One alone on its hook gets a dispatcher, or loses it, when it asks for other verdicts. */
function proceed(hook: "xdp" | "tc", to: "chain" | "direct"): Scenario {
  const [plain, other] = hook === "xdp" ? ["pass", "drop"] : ["ok", "shot"];
  const update = async (lane: Lane, verdict = "") => ["link", "update", await lane.link("0"), "--proceed-on", verdict];
  const [from, into] = to === "chain" ? [plain, other] : [other, plain];
  const scenario = onHook(
    `link update, from ${to === "chain" ? "direct to chain" : "chain to direct"}`,
    { hook, old: [0], next: [0] },
    {
      operation: "link/update",
      words: (lane) => update(lane, into),
      undo: async (lane) => void (await lane.bpfman.ok(...(await update(lane, from)))),
    },
  );
  return {
    ...scenario,
    obstacle: noExtensions,
    async prepare(lane) {
      await scenario.prepare(lane);
      await lane.bpfman.ok(...(await update(lane, from)));
    },
  };
}

/** The middle one of so many gets a newer build of its program, which does the same. */
function replace(hook: Hook, size: number): Scenario {
  const members = Array.from({ length: size }, (_, number) => number);
  const name = `${hook === "xdp" ? "xdp" : "tc"}_member_${Math.floor(size / 2)}`;
  return onHook(
    `replace, of ${size === 1 ? "one alone" : `one of ${size}`}`,
    { hook, old: members, next: members },
    {
      operation: "program/replace",
      words: async () => ["program", "replace", name, "--path", CHAIN],
      undo: async () => {},
    },
  );
}

/** Two at once, each beside the old one for a moment. */
const replaceEvents: Scenario = {
  name: "replace, of two that cannot be swapped",
  operation: "program/replace",
  obstacle: null,
  async prepare(lane) {
    for (const kind of ["uprobe", "raw_tp"] as const) {
      await lane.loadEvent(kind);
      await lane.bpfman.ok(...lane.attachEvent(kind));
    }
  },
  words: async () => ["program", "replace", "count_uprobe", "count_raw_tp", "--path", KINDS],
  before: [BYSTANDER, "uprobe", "raw_tp"],
  after: [BYSTANDER, "uprobe", "raw_tp"],
  undo: async () => {},
};

function ofEvent(kind: Event): Scenario[] {
  const attach = async (lane: Lane) => lane.attachEvent(kind);
  const detach = async (lane: Lane) => ["detach", await lane.link(kind)];
  const [alone, both] = [[BYSTANDER], kind === BYSTANDER ? [BYSTANDER, BYSTANDER] : [BYSTANDER, kind]];
  return [
    {
      name: `attach ${kind}`,
      operation: "link/attach",
      obstacle: EVENTS[kind],
      prepare: (lane) => lane.loadEvent(kind),
      words: attach,
      before: alone,
      after: both,
      undo: async (lane) => void (await lane.bpfman.ok(...(await detach(lane)))),
    },
    {
      name: `detach ${kind}`,
      operation: "link/detach",
      interrupted: "after",
      obstacle: EVENTS[kind],
      async prepare(lane) {
        await lane.loadEvent(kind);
        await lane.bpfman.ok(...(await attach(lane)));
      },
      words: detach,
      before: both,
      after: alone,
      undo: async (lane) => void (await lane.bpfman.ok(...(await attach(lane)))),
    },
  ];
}

/** Its program is what the load is checked against, and what the link holds. */
function ofReplaced(): Scenario[] {
  const attach = async (lane: Lane) => ["attach", lane.id("send_back"), "freplace"];
  const detach = async (lane: Lane) => ["detach", await lane.link("send_back")];
  const common = { obstacle: noExtensions, before: alone, after: alone } as const;
  return [
    {
      ...common,
      name: "load freplace",
      operation: "program/load",
      prepare: (lane) => lane.loadReplaced("whole"),
      words: async () => ["load", "file", "--path", REPLACED, "--programs", "freplace:send_back:whole/decide"],
      undo: async (lane) => void (await lane.bpfman.ok("unload", "send_back")),
    },
    {
      ...common,
      name: "attach freplace",
      operation: "link/attach",
      prepare: (lane) => lane.loadReplaced("both"),
      words: attach,
      after: ["send_back", BYSTANDER],
      undo: async (lane) => void (await lane.bpfman.ok(...(await detach(lane)))),
    },
    {
      ...common,
      name: "detach freplace",
      operation: "link/detach",
      interrupted: "after",
      async prepare(lane) {
        await lane.loadReplaced("both");
        await lane.bpfman.ok(...(await attach(lane)));
      },
      words: detach,
      before: ["send_back", BYSTANDER],
      undo: async (lane) => void (await lane.bpfman.ok(...(await attach(lane)))),
    },
  ];
}

const ENTRIES = ["a", "b", "c"] as const;

/** A change of a map with {@link ENTRIES}. */
const onMap = (name: string, change: Pick<Scenario, "operation" | "words" | "undo" | "interrupted">): Scenario => ({
  ...{ name, obstacle: null, before: alone, after: alone, ...change },
  prepare: (lane) => lane.loadMap(ENTRIES),
});

const loadWords = (...words: string[]): string[] => ["load", "file", "--path", LIFE_OBJECT, "--programs", ...words];
const alone = [BYSTANDER];
const nothingToDo = async (): Promise<void> => {};
const pullImage = async (lane: Lane): Promise<void> =>
  void (await lane.bpfman.ok("image", "pull", "-i", await lane.image()));

/** A document of two programs with a link each, or with one. */
function applyWords(
  lane: Lane,
  { uprobe, rawTp, workload }: { readonly uprobe: boolean; readonly rawTp: boolean; readonly workload: string },
): string[] {
  const target = { kind: "uprobe", target: lane.work.binary, fnName: USER_FUNCTION };
  const programs = [
    { name: "count_uprobe", attach: uprobe ? [target] : [] },
    { name: "count_raw_tp", attach: rawTp ? [{ kind: "raw_tp", tracepoint: "sys_enter" }] : [] },
  ];
  const object = { path: KINDS, programs, globalData: { WORKLOAD: workload } };
  const document = lane.bpfman.path("state.json");
  writeFileSync(document, JSON.stringify({ applications: { walked: { objects: [object] } } }));
  return ["apply", document];
}

/** Whoever is interrupted while repairing repairs again, as often as it takes. */
async function repaired({ bpfman }: Lane): Promise<void> {
  const { code, error } = await bpfman.run("repair");
  expect({ code, error: code === 0 ? "" : error }).toEqual({ code: 0, error: "" });
}

const removeFilter = ({ wire }: Lane): void => {
  sh("tc", "-n", wire.name(), "filter", "delete", "dev", "veth0", "ingress");
};

/** Three programs, of which two share maps, and one has two links. */
async function loadThree(lane: Lane): Promise<void> {
  await lane.loadEvent("uprobe");
  await lane.bpfman.ok(...lane.attachEvent("uprobe"));
  await lane.bpfman.ok(...lane.attachEvent("uprobe"));
  await lane.bpfman.load(LIFE_OBJECT, ...loadWords("tcx:count", "tcx:count_in_shared_map").slice(4));
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "load, the first on this machine",
    operation: "program/load",
    obstacle: null,
    untouched: true,
    prepare: nothingToDo,
    words: async () => loadWords("tcx:count"),
    before: [],
    after: [],
  },
  {
    name: "load of two with a map pinned by name",
    operation: "program/load",
    obstacle: null,
    prepare: nothingToDo,
    words: async () => loadWords("tcx:count", "tcx:count_in_shared_map"),
    before: alone,
    after: alone,
  },
  {
    name: "load with another's maps",
    operation: "program/load",
    obstacle: null,
    prepare: (lane) => lane.loadEvent("uprobe"),
    words: async (lane) => [
      ...["load", "file", "--path", KINDS, "--programs", "uretprobe:count_uretprobe"],
      ...["--map-owner-id", lane.id("uprobe")],
    ],
    before: alone,
    after: alone,
  },
  {
    name: "run of two",
    operation: "program/run",
    obstacle: null,
    prepare: nothingToDo,
    words: async (lane) => [
      ...["run", KINDS, "uprobe:count_uprobe", "raw_tp:count_raw_tp", "--target", lane.work.binary],
      ...["--fn-name", USER_FUNCTION, "-g", `WORKLOAD=${lane.work.nameHex}`],
    ],
    before: alone,
    after: alone,
  },
  {
    name: "apply of two",
    operation: "apply",
    obstacle: null,
    prepare: nothingToDo,
    words: async (lane) => applyWords(lane, { uprobe: true, rawTp: true, workload: lane.work.nameHex }),
    before: alone,
    after: alone,
  },
  {
    name: "apply of other globals, and of one link less",
    operation: "apply",
    obstacle: null,
    async prepare(lane) {
      await lane.bpfman.ok(...applyWords(lane, { uprobe: true, rawTp: true, workload: lane.work.nameHex }));
    },
    words: async (lane) =>
      applyWords(lane, { uprobe: true, rawTp: false, workload: "00".repeat(lane.work.nameHex.length / 2) }),
    interrupted: "after",
    before: alone,
    after: alone,
  },
  {
    name: "load image",
    operation: "program/load",
    obstacle: null,
    prepare: nothingToDo,
    words: async (lane) => ["load", "image", "-i", await lane.image(), "--programs", "tcx:count"],
    interrupted: "partly",
    before: alone,
    after: alone,
  },
  {
    name: "image pull",
    operation: "image/pull",
    obstacle: null,
    prepare: nothingToDo,
    words: async (lane) => ["image", "pull", "-i", await lane.image()],
    interrupted: "partly",
    before: alone,
    after: alone,
    undo: async (lane) => lane.forgetImages(),
  },
  {
    name: "image prune",
    operation: "image/prune",
    obstacle: null,
    prepare: pullImage,
    words: async () => ["image", "prune"],
    interrupted: "partly",
    before: alone,
    after: alone,
    undo: pullImage,
  },
  {
    name: "unload of one with two links",
    operation: "program/unload",
    interrupted: "partly",
    obstacle: null,
    prepare: loadThree,
    words: async (lane) => ["unload", lane.id("uprobe")],
    before: [BYSTANDER, "uprobe"],
    after: alone,
  },
  {
    name: "unload of three, one with a link",
    operation: "program/unload",
    interrupted: "partly",
    obstacle: null,
    async prepare(lane) {
      for (const kind of ["uprobe", "uretprobe", "raw_tp"] as const) await lane.loadEvent(kind);
      await lane.bpfman.ok(...lane.attachEvent("uretprobe"));
    },
    words: async (lane) => ["unload", lane.id("uprobe"), lane.id("uretprobe"), lane.id("raw_tp")],
    before: [BYSTANDER, "uretprobe"],
    after: alone,
  },
  {
    name: "program delete, with those that share its maps",
    operation: "program/delete",
    obstacle: null,
    async prepare(lane) {
      await lane.loadEvent("uprobe");
      await lane.bpfman.load(KINDS, "--programs", "uretprobe:count_uretprobe", "--map-owner-id", lane.id("uprobe"));
      await lane.bpfman.ok(...lane.attachEvent("uprobe"));
    },
    words: async (lane) => ["program", "delete", "--recursive", lane.id("uprobe")],
    before: [BYSTANDER, "uprobe"],
    after: alone,
    interrupted: "partly",
  },
  {
    name: "program delete of all, with the file system",
    operation: "program/delete",
    obstacle: null,
    untouched: true,
    prepare: loadThree,
    words: async () => ["program", "delete", "--all", "--unmount"],
    before: ["uprobe"],
    after: [],
    interrupted: "partly",
  },
  {
    name: "link delete",
    operation: "link/delete",
    obstacle: null,
    async prepare(lane) {
      await lane.loadEvent("uprobe");
      await lane.bpfman.ok(...lane.attachEvent("uprobe"));
    },
    words: async (lane) => ["link", "delete", await lane.link("uprobe")],
    before: [BYSTANDER, "uprobe"],
    after: alone,
    interrupted: "partly",
  },
  ...(["xdp", "tc"] as const).flatMap((hook) =>
    [1, 2, 10].map((size): Scenario => {
      const old = Array.from({ length: size }, (_, number) => number);
      const words = async (lane: Lane): Promise<string[]> => {
        const { dispatchers }: DispatcherListAnswer = await lane.bpfman.json("dispatcher", "list");
        return [
          "dispatcher",
          "delete",
          ...dispatchers.slice(0, 1).flatMap(({ key }) => [key.type, `${key.nsid}`, `${key.ifindex}`]),
        ];
      };
      const undo = (lane: Lane) => attachAll(lane, hook, old);
      return onHook(
        `dispatcher delete, of ${size}`,
        { hook, old, next: [] },
        { operation: "dispatcher/delete", interrupted: "after", words, undo },
      );
    }),
  ),
  ...EVENT_KINDS.filter((kind) => kind !== BYSTANDER).flatMap(ofEvent),
  ...ofReplaced(),
  ...(["xdp", "tc", "tcx"] as const).flatMap((hook) => [0, 1, 2, 9].flatMap((others) => changesBeside(hook, others))),
  ...(["xdp", "tc"] as const).flatMap((hook) => [1, 2, 10].map((size) => reorder(hook, size))),
  ...(["xdp", "tc"] as const).flatMap((hook) => [proceed(hook, "chain"), proceed(hook, "direct")]),
  ...(["xdp", "tc", "tcx"] as const).flatMap((hook) => [1, 3].map((size) => replace(hook, size))),
  replaceEvents,
  {
    name: "repair, of a lost database",
    operation: "repair",
    obstacle: null,
    async prepare(lane) {
      await lane.loadEvent("uprobe");
      await lane.bpfman.ok(...lane.attachEvent("uprobe"));
    },
    words: async () => ["repair"],
    async run(lane, tracer) {
      const { bpfman } = lane;
      for (const name of ["", "-wal", "-shm"])
        rmSync(join(bpfman.runtimeDir, `state/bpfman.db${name}`), { force: true });
      const child = Bun.spawn([...tracer, ...bpfman.command("repair")], { stdio: ["ignore", "ignore", "pipe"] });
      const [error, code] = await Promise.all([child.stderr.text(), child.exited]);
      return { code: child.signalCode === null ? code : 137, error };
    },
    finish: repaired,
    before: [BYSTANDER, "uprobe"],
    after: [BYSTANDER, "uprobe"],
  },
  {
    ...onHook(
      "repair, of a filter that is gone",
      { hook: "tc", old: [], next: [0] },
      { operation: "repair", words: async () => ["repair"] },
    ),
    async prepare(lane) {
      await lane.loadMembers("tc", 1);
      await lane.bpfman.ok(...lane.attachMember("tc", 0, STEP));
      removeFilter(lane);
    },
    finish: repaired,
    undo: async (lane) => removeFilter(lane),
  },
  {
    name: "restore",
    operation: "restore",
    obstacle: null,
    untouched: true,
    prepare: (lane) => lane.reboot(["uprobe", "tracepoint"]),
    words: async () => ["restore"],
    finish: async ({ bpfman }) => void (await bpfman.ok("restore")),
    before: [],
    after: [],
  },
  onMap("map update", {
    operation: "map/update",
    interrupted: "after",
    words: async (lane) => lane.onMap("update", '"a"', "2"),
    undo: async (lane) => void (await lane.bpfman.ok(...lane.onMap("update", '"a"', "1"))),
  }),
  onMap("map delete", {
    operation: "map/delete",
    interrupted: "after",
    words: async (lane) => lane.onMap("delete", '"a"'),
    undo: async (lane) => void (await lane.bpfman.ok(...lane.onMap("update", '"a"', "1"))),
  }),
  onMap("map clear", {
    operation: "map/clear",
    interrupted: "partly",
    words: async (lane) => lane.onMap("clear"),
    async undo(lane) {
      for (const key of ENTRIES) await lane.bpfman.ok(...lane.onMap("update", `"${key}"`, "1"));
    },
  }),
  {
    name: "rpc, a session that cleans up after itself",
    operation: "rpc",
    obstacle: null,
    prepare: nothingToDo,
    words: async (lane) => lane.bpfman.command("rpc"),
    async run(lane, tracer) {
      return inSession(lane, tracer, { session: { cleanup: true } }, async (server) => {
        const source = { source: { file: LIFE_OBJECT }, programs: [{ type: "tracepoint", name: "on_openat" }] };
        const { programs } = (await server.call("program/load", source)).result as LoadAnswer;
        const programId = (programs[0] as ProgramAnswer).record?.program_id;
        await server.call("link/attach", { programId, attach: { kind: "tracepoint", tracepoint: TRACEPOINT } });
      });
    },
    before: alone,
    after: alone,
  },
  {
    name: "volume publish",
    operation: "volume/publish",
    obstacle: null,
    prepare: (lane) => lane.loadForVolume(),
    words: async (lane) => lane.bpfman.command("rpc"),
    run: (lane, tracer) => lane.publish(tracer),
    before: alone,
    after: ["volume", ...alone],
    undo: async (lane) => void (await lane.unpublish([])),
  },
  {
    name: "volume unpublish",
    operation: "volume/unpublish",
    obstacle: null,
    interrupted: "after",
    async prepare(lane) {
      await lane.loadForVolume();
      await lane.publish([]);
    },
    words: async (lane) => lane.bpfman.command("rpc"),
    run: (lane, tracer) => lane.unpublish(tracer),
    before: ["volume", ...alone],
    after: alone,
    undo: async (lane) => void (await lane.publish([])),
  },
];
