/** A kernel in memory, with pins, reference counting and TCX hooks: what the service can see of the real one. */
import { type KernelLinkId, kernelLinkId, type MapId, mapId, type ProgramId, programId } from "../../src/domain/ids.ts";
import type { ObjectMap } from "../../src/domain/object-file.ts";
import type { ProgramType } from "../../src/domain/program.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import { readObject } from "../../src/object/object-file.ts";
import type {
  AttachedLink,
  KernelAttach,
  KernelLink,
  KernelMap,
  KernelPort,
  KernelProgram,
  LoadedMap,
  LoadedObject,
  ObjectToLoad,
  PinnedHandle,
  TcxHook,
  TcxState,
} from "../../src/platform/kernel.ts";

type Kind = "program" | "map" | "link";
interface Ref {
  readonly kind: Kind;
  readonly id: number;
}

const KERNEL_TYPES: Readonly<Record<ProgramType, number>> = {
  xdp: 6,
  tc: 3,
  tcx: 3,
  tracepoint: 5,
  kprobe: 2,
  kretprobe: 2,
  uprobe: 2,
  uretprobe: 2,
  fentry: 26,
  fexit: 26,
  lsm: 29,
};
const EXTENSION = 28;
const LINK_PERF_EVENT = 7;
const LINK_TCX = 11;

const hookName = (hook: TcxHook): string => `${hook.netns}:${hook.ifindex}:${hook.direction}`;

export class FakeKernel implements KernelPort {
  readonly release = "6.18.0-fake";
  ext = false;
  tcx = true;
  knownTracepoints = ["sched/sched_switch", "sched/sched_wakeup", "syscalls/sys_enter_openat"];
  functions = new Map([
    ["do_unlinkat", { size: 100, count: 1 }],
    ["do_sys_open", { size: null, count: 1 }],
  ]);
  lsm = true;
  /** Names of programs that the verifier refuses. */
  refused = new Set<string>();
  /** Called before each TCX attach: a test changes the hook here. */
  beforeAttach: () => void = () => {};
  readonly pins = new Map<string, Ref>();
  readonly #programs = new Map<number, KernelProgram>();
  readonly #maps = new Map<number, KernelMap>();
  readonly #links = new Map<number, KernelLink & { readonly hook: string | null }>();
  readonly #hooks = new Map<
    string,
    { revision: bigint; members: { program: ProgramId; link: KernelLinkId | null }[] }
  >();
  readonly #open = new Set<Ref>();
  #nextProgram = 100;
  #nextMap = 500;
  #nextLink = 900;

  features = async () => ({ ext: this.ext });

  async load(object: ObjectToLoad): Promise<LoadedObject> {
    const file = readObject(object.bytes);
    const refused = object.programs.find((program) => this.refused.has(program.name));
    if (refused) {
      throw new BpfmanError("VERIFIER_REJECTED", `the verifier refused program "${refused.name}": R0 !read_ok`, {
        verifierLog: "0: (95) exit\nR0 !read_ok\nprocessed 1 insns",
      });
    }
    const maps: LoadedMap[] = file.maps.map((map) => {
      const pin = object.reuse.get(map.name);
      if (pin === undefined) return { name: map.name, id: this.#createMap(map), internal: false, reused: false };
      const ref = this.pins.get(pin);
      if (ref?.kind !== "map") throw new BpfmanError("LOAD_FAILED", `no map at ${pin}`);
      return { name: map.name, id: mapId(ref.id), internal: false, reused: true };
    });
    for (const section of new Set(file.globals.map((global) => global.section))) {
      const shape = {
        name: section,
        type: 2,
        keySize: 4,
        valueSize: 8,
        maxEntries: 1,
        flags: 0,
        pinByName: false,
        inner: null,
      };
      maps.push({ name: section, id: this.#createMap(shape), internal: true, reused: false });
    }
    const programs = object.programs.map(({ name, type, asExtension }) => {
      const id = programId(this.#nextProgram++);
      const kernel: KernelProgram = {
        id,
        name: name.slice(0, 15),
        type: asExtension ? EXTENSION : KERNEL_TYPES[type],
        tag: "0123456789abcdef",
        loadedAt: new Date(0),
        uid: 0,
        btfId: 7,
        mapIds: maps.map((map) => map.id),
        gplCompatible: true,
        jitedSize: 64,
        xlatedSize: 128,
        verifiedInstructions: 10,
        memlock: 4096,
        runTimeNs: 0,
        runCount: 0,
        recursionMisses: 0,
        restricted: false,
      };
      this.#programs.set(id, kernel);
      return { name, kernel };
    });
    const refs: Ref[] = [
      ...programs.map((program) => this.#hold("program", program.kernel.id)),
      ...maps.map((map) => this.#hold("map", map.id)),
    ];
    return {
      programs,
      maps,
      pinProgram: (name, path) => this.#pin(path, "program", programs.find((entry) => entry.name === name)?.kernel.id),
      pinMap: (name, path) => this.#pin(path, "map", maps.find((map) => map.name === name)?.id),
      close: () => this.#release(refs),
    };
  }

  programIds = () => [...this.#programs.keys()].map(programId);
  program = (id: ProgramId) => this.#programs.get(id) ?? null;
  map = (id: MapId) => this.#maps.get(id) ?? null;
  link = (id: KernelLinkId) => this.#links.get(id) ?? null;
  tracepoints = () => this.knownTracepoints;
  kernelFunction = (name: string) => this.functions.get(name) ?? null;
  kernelFunctions = () => this.functions.keys();
  lsmActive = () => this.lsm;
  tracepointExists = (group: string, name: string) => this.knownTracepoints.includes(`${group}/${name}`);

  openPin(path: string): PinnedHandle | null {
    const ref = this.pins.get(path);
    if (!ref) return null;
    const held = this.#hold(ref.kind, ref.id);
    return {
      kind: ref.kind,
      id: ref.id,
      pin: (where) => this.#pin(where, ref.kind, ref.id),
      close: () => this.#release([held]),
    };
  }

  attach(programPin: string, attach: KernelAttach): AttachedLink {
    const ref = this.pins.get(programPin);
    if (ref?.kind !== "program") throw new BpfmanError("ATTACH_FAILED", `no program at ${programPin}`);
    if (attach.kind === "tcx") this.beforeAttach();
    const id = kernelLinkId(this.#nextLink++);
    const program = programId(ref.id);
    const hook = attach.kind === "tcx" ? hookName(attach) : null;
    if (attach.kind === "tcx") this.#join(attach, program, id);
    const type = hook === null ? LINK_PERF_EVENT : LINK_TCX;
    this.#links.set(id, { id, programId: program, type, attachType: hook === null ? null : 46, hook });
    const held = this.#hold("link", id);
    return { id, pin: (path) => this.#pin(path, "link", id), close: () => this.#release([held]) };
  }

  tcxState(hook: TcxHook): TcxState {
    if (!this.tcx) throw new BpfmanError("KERNEL_UNSUPPORTED", "TCX needs Linux 6.6 or newer");
    const state = this.#hooks.get(hookName(hook));
    return { revision: state?.revision ?? 1n, members: [...(state?.members ?? [])] };
  }

  forceDetach(id: KernelLinkId): void {
    this.#leave(id);
  }

  /** What somebody else does: puts a program on a hook without a link, at its end. */
  joinForeign(hook: TcxHook, program: number): void {
    const state = this.#hook(hookName(hook));
    state.members.push({ program: programId(program), link: null });
    state.revision += 1n;
  }

  /** Drops what nothing refers to; called by whoever removes a pin. */
  sweep(): void {
    const live = new Set<string>();
    const mark = (kind: Kind, id: number): void => {
      if (live.has(`${kind}:${id}`)) return;
      live.add(`${kind}:${id}`);
      const link = kind === "link" ? this.#links.get(id) : undefined;
      if (link) mark("program", link.programId);
      const program = kind === "program" ? this.#programs.get(id) : undefined;
      for (const map of program?.mapIds ?? []) mark("map", map);
    };
    for (const ref of [...this.pins.values(), ...this.#open]) mark(ref.kind, ref.id);
    for (const id of [...this.#links.keys()]) {
      if (live.has(`link:${id}`)) continue;
      this.#leave(kernelLinkId(id));
      this.#links.delete(id);
    }
    for (const id of [...this.#programs.keys()]) if (!live.has(`program:${id}`)) this.#programs.delete(id);
    for (const id of [...this.#maps.keys()]) if (!live.has(`map:${id}`)) this.#maps.delete(id);
  }

  /** Everything that is there, for "nothing is left" and "nothing has changed". */
  snapshot(): { programs: number[]; maps: number[]; links: number[]; pins: string[] } {
    return {
      programs: [...this.#programs.keys()],
      maps: [...this.#maps.keys()],
      links: [...this.#links.keys()],
      pins: [...this.pins.keys()].sort(),
    };
  }

  /** What the end of a process does: its open handles go. */
  closeAll(): void {
    this.#open.clear();
    this.sweep();
  }

  #createMap(map: ObjectMap): MapId {
    const id = mapId(this.#nextMap++);
    this.#maps.set(id, {
      id,
      name: map.name.slice(0, 15),
      type: map.type,
      keySize: map.keySize ?? 0,
      valueSize: map.valueSize ?? 0,
      maxEntries: map.maxEntries ?? 0,
      flags: map.flags,
      btfId: 0,
      mapExtra: 0,
      memlock: 4096,
      frozen: false,
    });
    return id;
  }

  #hook(name: string) {
    const state = this.#hooks.get(name) ?? { revision: 1n, members: [] };
    this.#hooks.set(name, state);
    return state;
  }

  #join(attach: Extract<KernelAttach, { kind: "tcx" }>, program: ProgramId, link: KernelLinkId): void {
    const { anchor } = attach;
    const state = this.#hook(hookName(attach));
    if (state.revision !== attach.revision) throw new BpfmanError("HOOK_CHANGED", "the hook has another revision");
    const at =
      anchor.side === "last" ? state.members.length : state.members.findIndex((entry) => entry.link === anchor.link);
    if (at < 0) throw new BpfmanError("ATTACH_FAILED", "no such anchor");
    state.members.splice(anchor.side === "after" ? at + 1 : at, 0, { program, link });
    state.revision += 1n;
  }

  #leave(id: KernelLinkId): void {
    for (const state of this.#hooks.values()) {
      const at = state.members.findIndex((entry) => entry.link === id);
      if (at < 0) continue;
      state.members.splice(at, 1);
      state.revision += 1n;
    }
  }

  #hold(kind: Kind, id: number): Ref {
    const ref = { kind, id };
    this.#open.add(ref);
    return ref;
  }

  #release(refs: readonly Ref[]): void {
    for (const ref of refs) this.#open.delete(ref);
    this.sweep();
  }

  #pin(path: string, kind: Kind, id: number | undefined): void {
    if (id === undefined) throw new BpfmanError("INTERNAL", `nothing to pin at ${path}`);
    if (this.pins.has(path)) throw new BpfmanError("STATE_CONFLICT", `"${path}" is pinned already`);
    this.pins.set(path, { kind, id });
  }
}
