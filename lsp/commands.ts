/** The commands of lenses: each is an operation or two of the process with privileges. */
import type { LinkAnswer, LoadAnswer, ProgramAnswer } from "../src/domain/answer.ts";
import { BpfmanError } from "../src/errors/error.ts";
import type { ParamsOf } from "../rpc/protocol.ts";
import type { CompiledObject } from "./checker.ts";
import type { Loaded } from "./describe.ts";
import type { Helper } from "./privileged.ts";

/** By the names that clients send. */
export const COMMANDS = [
  "bpfman.check",
  "bpfman.load",
  "bpfman.attach",
  "bpfman.detach",
  "bpfman.unload",
  "bpfman.restart",
] as const;
export type CommandName = (typeof COMMANDS)[number];

export const isCommand = (name: string): name is CommandName => COMMANDS.some((each) => each === name);

type AttachTarget = ParamsOf<"link/attach">["attach"];

/** What a command is about. */
export interface Subject {
  /** Path of the source. */
  readonly path: string;
  readonly program: string;
  /** What its section names, as far as it does: `sys_enter_openat`. */
  readonly target: string | null;
  readonly signal: AbortSignal;
}

export interface CommandsOptions {
  readonly helper: Helper;
  compile(path: string, signal: AbortSignal): Promise<CompiledObject>;
  /** Null if the user chooses none. */
  choose(question: string, choices: readonly string[]): Promise<string | null>;
}

/** Interfaces that are offered: each is a button. */
const INTERFACES_OFFERED_MAX = 12;
const PRIORITY = 50;
/** How long runs are counted for a hover, whose reader waits. */
const COUNTED_MS = 250;

/** Each answers in one sentence what it did. Throws what the operations throw, NoHelper, and BpfmanError. */
export class Commands {
  readonly #options: CommandsOptions;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** The programs of a source that are loaded, the newest last. */
  async loaded({ path, program, signal }: Subject): Promise<ProgramAnswer[]> {
    const { helper } = this.#options;
    const { programs } = await helper.call("program/list", { view: "summary" }, { signal });
    const named = programs.filter(({ function_name: name }) => name === program);
    const found: ProgramAnswer[] = [];
    for (const { program_id: programId } of named) {
      const one = await helper.call("program/get", { programId }, { signal });
      if (one.record?.load.source_path === path) found.push(one);
    }
    return found.toSorted((a, b) => (a.record?.program_id ?? 0) - (b.record?.program_id ?? 0));
  }

  /** The same with what they do within an instant, which is counted now. */
  async running(subject: Subject): Promise<Loaded[]> {
    const programs = await this.loaded(subject);
    const programIds = programs.flatMap(({ record }) => record?.program_id ?? []);
    if (programIds.length === 0) return [];
    const counted = { programIds, intervalMs: COUNTED_MS };
    const { programs: runs } = await this.#options.helper.call("program/stats", counted, { signal: subject.signal });
    const runsOf = new Map(runs.map((each) => [each.program_id, each]));
    return programs.map((program) => ({ program, runs: runsOf.get(program.record?.program_id ?? 0) ?? null }));
  }

  async load(subject: Subject): Promise<string> {
    const { programs } = await this.#load(subject);
    return `loaded "${subject.program}" as program ${programs[0]?.record?.program_id}`;
  }

  async #load({ path, program, signal }: Subject): Promise<LoadAnswer> {
    const object = await this.#options.compile(path, signal);
    return this.#options.helper.call("program/load", { source: { object }, programs: [{ name: program }] }, { signal });
  }

  /** Attaches the newest that is loaded, or loads it first. Without a target, asks for what the section does not say. */
  async attach(subject: Subject, target: AttachTarget | null): Promise<string> {
    const { helper } = this.#options;
    const there = (await this.loaded(subject)).at(-1);
    const loaded = there ?? (await this.#load(subject)).programs[0];
    const { record } = loaded ?? {};
    if (record == null) throw new BpfmanError("INTERNAL", `attach "${subject.program}": it was not loaded`);
    const wanted = target ?? (await this.#askTarget(subject, record));
    const about = there === undefined ? ` (loaded as program ${record.program_id})` : "";
    if (wanted === null) return `nothing was attached${about}`;
    const { signal } = subject;
    const link = await helper.call("link/attach", { programId: record.program_id, attach: wanted }, { signal });
    return `attached "${subject.program}" with link ${link.record.id}${about}`;
  }

  async detach(subject: Subject): Promise<string> {
    const links = (await this.loaded(subject)).flatMap(({ status }) => status.links);
    if (links.length === 0) return `"${subject.program}" is not attached`;
    for (const { record } of links) {
      await this.#options.helper.call("link/detach", { linkId: record.id }, { signal: subject.signal });
    }
    return `detached "${subject.program}": ${namesOf(links)}`;
  }

  async unload(subject: Subject): Promise<string> {
    const ids = (await this.loaded(subject)).flatMap(({ record }) => record?.program_id ?? []);
    if (ids.length === 0) return `"${subject.program}" is not loaded`;
    for (const programId of ids) {
      await this.#options.helper.call("program/unload", { programId }, { signal: subject.signal });
    }
    return `unloaded "${subject.program}": ${ids.length === 1 ? "program" : "programs"} ${ids.join(", ")}`;
  }

  async #askTarget(
    { program, target, signal }: Subject,
    { program_id: programId, load }: NonNullable<ProgramAnswer["record"]>,
  ): Promise<AttachTarget | null> {
    const { program_type: kind } = load;
    switch (kind) {
      case "fentry":
      case "fexit":
      case "fmod_ret":
      case "lsm":
      case "tp_btf":
        return { kind };
      case "xdp": {
        const iface = await this.#askInterface(program, [""], signal);
        return iface === null ? null : { kind, iface: iface.name, priority: PRIORITY };
      }
      case "tc":
      case "tcx": {
        const iface = await this.#askInterface(program, [" ingress", " egress"], signal);
        if (iface === null) return null;
        return { kind, iface: iface.name, priority: PRIORITY, direction: iface.direction };
      }
      case "tracepoint":
      case "raw_tp":
        if (target !== null) return { kind, tracepoint: target };
        break;
      case "kprobe":
      case "kretprobe":
        if (target !== null) return { kind: "kprobe", fnName: target };
        break;
      default:
    }
    throw new BpfmanError("USAGE", `attach "${program}": the editor does not know where to`, {
      hint: `it is loaded: use "bpfman attach ${programId} …", or pass the target with the command`,
    });
  }

  async #askInterface(program: string, endings: readonly string[], signal: AbortSignal) {
    const { helper, choose } = this.#options;
    const { values } = await helper.call("complete", { what: "interface", prefix: "" }, { signal });
    const names = values.slice(0, INTERFACES_OFFERED_MAX).map(({ value }) => value);
    const choices = names.flatMap((name) => endings.map((ending) => `${name}${ending}`));
    const chosen = await choose(`Attach "${program}" to which interface?`, choices);
    if (chosen === null || !choices.includes(chosen)) return null;
    const [name = "", direction] = chosen.split(" ");
    return { name, direction: direction === "egress" ? ("egress" as const) : ("ingress" as const) };
  }
}

const namesOf = (links: readonly LinkAnswer[]): string =>
  `${links.length === 1 ? "link" : "links"} ${links.map(({ record }) => record.id).join(", ")}`;
