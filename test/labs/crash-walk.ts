/**
 * Interrupts a command at each system call that has an effect: by SIGKILL before the call, or by an error instead of it.
 * A run under strace that is left alone finds the calls; each further run is hit at one of them.
 */
import { readFileSync } from "node:fs";
import { killAt } from "./kill-at.ts";

/**
 * The calls that have effects, each with what it must be about, in the words of `strace -y`. Not close(2): before it, a kill
 * does the same, and an error of it closes all the same, which an injected one does not.
 */
const EFFECTS: Readonly<Record<string, RegExp>> = {
  bpf: /BPF_(PROG_LOAD|MAP_CREATE|BTF_LOAD|MAP_UPDATE|MAP_DELETE|MAP_FREEZE|OBJ_PIN|LINK_(?!GET)|PROG_(AT|DE)TACH|PROG_BIND|RAW_TRACEPOINT)/,
  openat: /O_CREAT|O_TRUNC/,
  ...everyCall([
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
  ]),
  ...everyCall(["symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "utimensat"]),
  ...everyCall(["ftruncate", "fallocate", "fsync", "fdatasync", "mount", "umount2", "setns", "unshare", "flock"]),
  ...everyCall(["perf_event_open"]),
  // To files: not between threads, nor answers.
  ...Object.fromEntries(["write", "pwrite64", "writev", "pwritev"].map((call) => [call, /^([03-9]|\d\d+)<\//])),
  // Requests of rtnetlink that change something. strace does not always see that it is that: then it has only their numbers.
  sendto: /RTM_(NEW|DEL|SET)|nlmsg_type=0x(10|11|13|24|25|2c|2d) /,
  ioctl: /PERF_EVENT_IOC/,
  fcntl: /F_SETLKW?, \{l_type=F_WRLCK/,
};

function everyCall(names: readonly string[]): Readonly<Record<string, RegExp>> {
  return Object.fromEntries(names.map((name) => [name, /(?:)/]));
}

/**
 * What these do ends with the process: a kill before one leaves what a kill before the next lasting effect leaves, and only
 * that one is made.
 */
const PRIVATE =
  /^(fcntl|flock|setns|unshare|perf_event_open)\(|^bpf\(BPF_(PROG_LOAD|MAP_CREATE|BTF_LOAD|PROG_BIND|MAP_FREEZE)/;

/** At these, the machine changes most. */
const DELICATE = /^(sendto|renameat2|unlinkat|mount|umount2|fsync|ioctl)\(|BPF_(OBJ_PIN|LINK_(?!GET))/;

const ERRORS = ["ENOMEM", "EIO", "ENOSPC", "EINTR", "EAGAIN"] as const;
export type Injection = "SIGKILL" | (typeof ERRORS)[number];

/** The `number`th call of that name in its thread, counted from 1. */
export interface Moment {
  readonly call: string;
  readonly number: number;
  /** Its line in the trace. */
  readonly line: string;
}

export interface Point {
  readonly moment: Moment;
  readonly injection: Injection;
}

/** What to put in front of a command, so that it is traced into that file, or hit at that point. */
export function tracerFor(trace: string, point: Point | null): string[] {
  if (point?.injection === "SIGKILL") return killAt(trace, point.moment.call, point.moment.number);
  const common = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "100", "-o", trace];
  // A call that this architecture lacks is no mistake.
  if (point === null)
    return [
      ...common,
      "-e",
      `trace=${Object.keys(EFFECTS)
        .map((call) => `?${call}`)
        .join(",")}`,
    ];
  const { call, number } = point.moment;
  return [...common, "-e", `trace=${call}`, "-e", `inject=${call}:error=${point.injection}:when=${number}`];
}

/** The moments in the trace of a command that was left alone, in the order in which they came. */
export function momentsIn(trace: string): Moment[] {
  const counts = new Map<string, number>();
  const found = new Map<string, Moment>();
  for (const text of readFileSync(trace, "utf8").split("\n")) {
    const [, thread = "", call = "", rest = ""] = /^(\d+) +([a-z_0-9]+)\((.*)/.exec(text) ?? [];
    if (call === "") continue;
    const number = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, number);
    const moment = { call, number, line: `${call}(${rest}` };
    if (EFFECTS[call]?.test(rest)) found.set(`${call} ${number}`, moment);
  }
  return [...found.values()];
}

/**
 * Whether the command came to a call that has an effect, and was hit there. It may not have come so far this
 * time, or the call of that number may have been another, also in another thread or process: each counts its own.
 */
export function wasHit(trace: string): boolean {
  const text = readFileSync(trace, "utf8");
  if (/^\d+ killed$/m.test(text)) return true;
  const hits = text.split("\n").filter((line) => line.endsWith("(INJECTED)"));
  const isEffect = (line: string): boolean => {
    const [, call = "", rest = ""] = /^\d+ +([a-z_0-9]+)\((.*)/.exec(line) ?? [];
    return EFFECTS[call]?.test(rest) === true;
  };
  return hits.length > 0 && hits.every(isEffect);
}

/** Each moment with SIGKILL, and with one error, in turn. */
export function everyPoint(moments: readonly Moment[]): Point[] {
  return moments.flatMap((moment, index): Point[] => [
    ...(PRIVATE.test(moment.line) ? [] : [{ moment, injection: "SIGKILL" } as const]),
    { moment, injection: ERRORS[index % ERRORS.length] ?? "EIO" },
  ]);
}

/** Some of them: SIGKILL at the delicate ones, and others as `random` has it, until there are so many. */
export function somePoints(points: readonly Point[], count: number, random: (below: number) => number): Point[] {
  const rest = [...points];
  const chosen: Point[] = [];
  const take = (from: readonly Point[]): void => {
    const point = from[random(from.length)];
    if (point === undefined) return;
    chosen.push(point);
    rest.splice(rest.indexOf(point), 1);
  };
  const delicate = () => rest.filter(({ moment, injection }) => injection === "SIGKILL" && DELICATE.test(moment.line));
  while (chosen.length < count / 2 && delicate().length > 0) take(delicate());
  while (chosen.length < count && rest.length > 0) take(rest);
  return points.filter((point) => chosen.includes(point));
}
