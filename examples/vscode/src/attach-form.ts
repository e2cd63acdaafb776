/** The questions to ask before attaching a program, and the params built from the answers. Independent of the editor. */
import type { LiveValue } from "../../../src/domain/completion.ts";
import type { ParamsOf } from "../../../rpc/protocol.ts";

export type AttachTarget = ParamsOf<"link/attach">["attach"];

export interface Question {
  readonly name: string;
  readonly prompt: string;
  readonly value: string;
  /** The allowed answers, if this is a choice. */
  readonly choices?: readonly string[];
  /** What the server completes: it offers what the machine has, and other answers are taken, too. */
  readonly offers?: LiveValue;
  /** The earlier question whose answer is the file in which the server looks. */
  readonly file?: string;
}

const IFACE: Question = { name: "iface", prompt: "Network interface", value: "", offers: "interface" };
const PRIORITY: Question = { name: "priority", prompt: "Priority, 0 to 1000: lower runs first", value: "50" };
const DIRECTION: Question = {
  name: "direction",
  prompt: "Direction",
  value: "ingress",
  choices: ["ingress", "egress"],
};
const TARGET: Question = { name: "target", prompt: "Executable or library", value: "" };
const KERNEL_FUNCTION = { name: "fnName", value: "", offers: "kernel-function" } as const;
const TARGET_FUNCTION = { name: "fnName", value: "", offers: "target-function", file: "target" } as const;
const PATTERN = { prompt: "Functions, as a pattern with * and ?" } as const;
const FUNCTION = { prompt: "Function" } as const;

const CGROUP: Question = {
  name: "cgroup",
  prompt: "Directory of the cgroup",
  value: "/sys/fs/cgroup/",
  offers: "cgroup",
};
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;

/** The section of such a program says at which of a cgroup's points it runs. */
const isOnCgroup = (programType: string): boolean => /^(cgroup_\w+|sockops)$/.test(programType);

/** Takes bpfman's name of the type, as in a listing of programs. */
export function questionsFor(programType: string): readonly Question[] {
  switch (programType) {
    case "xdp":
      return [IFACE, PRIORITY];
    case "tc":
    case "tcx":
      return [IFACE, DIRECTION, PRIORITY];
    case "tracepoint":
      return [{ name: "tracepoint", prompt: "Tracepoint, as CATEGORY/NAME", value: "", offers: "tracepoint" }];
    case "raw_tp":
      return [{ name: "tracepoint", prompt: "Raw tracepoint, by its name alone", value: "", offers: "raw-tracepoint" }];
    case "kprobe":
    case "kretprobe":
      return [{ ...KERNEL_FUNCTION, ...FUNCTION }];
    case "uprobe":
    case "uretprobe":
      return [TARGET, { ...TARGET_FUNCTION, ...FUNCTION }];
    case "kprobe.multi":
    case "kretprobe.multi":
      return [{ ...KERNEL_FUNCTION, ...PATTERN }];
    case "uprobe.multi":
    case "uretprobe.multi":
      return [TARGET, { ...TARGET_FUNCTION, ...PATTERN }];
    case "perf_event":
      return [
        { name: "event", prompt: "Event", value: "", offers: "perf-event" },
        { name: "cpu", prompt: "Processor, by its number", value: "0" },
        { name: "frequency", prompt: "How often per second", value: "99" },
      ];
    case "netfilter":
      return [
        { name: "protocol", prompt: "Protocol", value: "ipv4", choices: ["ipv4", "ipv6"] },
        { name: "hook", prompt: "Hook", value: "input", choices: HOOKS },
        { name: "priority", prompt: "Priority: lower runs first, among iptables and nftables", value: "0" },
      ];
    default:
      return isOnCgroup(programType) ? [CGROUP] : [];
  }
}

/** Puts the answers into the right fields; the server checks their values. */
export function targetOf(programType: string, answers: Readonly<Record<string, string>>): AttachTarget {
  const { iface = "", fnName = "", target = "", tracepoint = "", event = "", cgroup = "" } = answers;
  const priority = Number(answers.priority);
  const direction = answers.direction === "egress" ? "egress" : "ingress";
  switch (programType) {
    case "xdp":
      return { kind: "xdp", iface, priority };
    case "tc":
    case "tcx":
      return { kind: programType, iface, priority, direction };
    case "tracepoint":
    case "raw_tp":
      return { kind: programType, tracepoint };
    case "kprobe":
    case "kretprobe":
      return { kind: "kprobe", fnName };
    case "uprobe":
    case "uretprobe":
      return { kind: "uprobe", target, fnName };
    case "fentry":
    case "fexit":
    case "lsm":
    case "tp_btf":
    case "fmod_ret":
    case "freplace":
    case "iter":
      return { kind: programType };
    case "kprobe.multi":
    case "kretprobe.multi":
      return { kind: "kprobe.multi", fnName };
    case "uprobe.multi":
    case "uretprobe.multi":
      return { kind: "uprobe.multi", target, fnName };
    case "perf_event":
      return { kind: "perf_event", event, cpu: Number(answers.cpu), frequency: Number(answers.frequency) };
    case "sk_lookup":
      return { kind: "sk_lookup" };
    case "netfilter": {
      const hook = HOOKS.find((each) => each === answers.hook) ?? "input";
      return { kind: "netfilter", protocol: answers.protocol === "ipv6" ? "ipv6" : "ipv4", hook, priority };
    }
    default:
      if (isOnCgroup(programType)) return { kind: "cgroup", cgroup };
      throw new Error(`programs of type "${programType}" cannot be attached from here`);
  }
}

type Selector = ParamsOf<"program/load">["programs"][number];

/** Parses a program to load, in the form the server offers: `tcx:count_packets`, `fentry:on_open:do_sys_open`. */
export function selectorOf(word: string): Selector {
  const [type = "", name = "", attachFunction = null] = word.split(":");
  return { type: type as Selector["type"], name, attachFunction };
}

/** Whether the user must name the function to attach to before the load. */
export const lacksFunction = (word: string): boolean =>
  /^(fentry|fexit|lsm|tp_btf|fmod_ret|iter|freplace):[^:]+$/.test(word);
