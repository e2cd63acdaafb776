/** Two namespaces connected by a cable without other traffic, the chain members of test/fixtures/bpf, and what they saw. */
import { beforeEach, expect } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withNetns } from "../../ffi/safe/netns.ts";
import type { ParamsOf } from "../../rpc/protocol.ts";
import type { ChainedKind } from "../../src/domain/kinds.ts";
import { readObject, twinBytes } from "../../src/object/object-file.ts";
import type { KernelPort, SlotMember, TwinToLoad } from "../../src/platform/kernel.ts";
import { pinAt, toLoad } from "../objects/bpf-fixture.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { bpftoolBatch, counters, deleteNamespaces, ipBatch, NEAR_INDEX, setNumbers, sh, until } from "./kernel-lab.ts";

const PORT = 9999;
/** Column of /proc/net/dev. */
const TRANSMITTED_PACKETS = 9;
const ADDRESS = { near: "10.98.0.1", far: "10.98.0.2" } as const;
const MAC = { near: "02:00:00:00:00:01", far: "02:00:00:00:00:02" } as const;
const DEVICE = { near: "veth0", far: "veth1" } as const;
type End = keyof typeof ADDRESS;

/** A packet that the members look at: Ethernet, IPv4 without options, UDP to their port. */
const PACKET: Uint8Array = new Uint8Array(64);
PACKET.set([0x08, 0x00, 0x45], 12);
PACKET[23] = 17;
PACKET.set([PORT >> 8, PORT & 0xff], 36);

export interface Flood {
  /** Ends it, and waits until what was sent has arrived or is lost. */
  stop(): Promise<void>;
}

export interface Wire {
  /** Path of the namespace of an end, for setns. */
  netns(end?: End): string;
  /** Name of a namespace, for ip-netns(8). */
  name(end?: End): string;
  readonly ifindex: number;
  /** Sends so many datagrams that the members look at, each with so many bytes. */
  send(count: number, from?: End, bytes?: number): void;
  /** Sends them as fast as it can, from the far end to the near one; answers when they flow. */
  flood(): Promise<Flood>;
  /** Datagrams that have left the far end's interface since the test began. */
  sent(): number;
  /** Datagrams that have come to UDP at an end since the test began. */
  received(end?: End): number;
}

/** A place at the near end's hook, for `link/attach`. */
export const placeOn = (
  hook: ChainedKind,
  place: { readonly netns: string; readonly priority: number },
): ParamsOf<"link/attach">["attach"] =>
  hook === "xdp"
    ? { kind: "xdp", iface: DEVICE.near, ...place }
    : { kind: "tc", direction: "ingress", iface: DEVICE.near, ...place };

let made = 0;

/** Each test gets one. `veth0` is at the near end, `veth1` at the far one. */
export function wire(): Wire {
  let near = "";
  let sentBefore = 0;
  let receivedBefore = { near: 0, far: 0 };
  const name = (end: End = "near") => (end === "near" ? near : `${near}-far`);
  /** Read by this process itself: a command takes long on a slow machine. */
  const network = (end: End, file: string): string =>
    withNetns(`/run/netns/${name(end)}`, () => readFileSync(`/proc/thread-self/net/${file}`, "utf8"));
  const transmitted = (): number => {
    const words = /^ *veth1:(.*)$/m.exec(network("far", "dev"))?.[1]?.trim().split(/ +/) ?? [];
    return Number(words[TRANSMITTED_PACKETS]);
  };
  const udp = (end: End): number => {
    const lines = network(end, "snmp")
      .split("\n")
      .filter((line) => line.startsWith("Udp:"));
    const [names = [], values = []] = lines.map((line) => line.split(" "));
    const of = (key: string) => Number(values[names.indexOf(key)]);
    return of("InDatagrams") + of("NoPorts") + of("InErrors");
  };
  const sending = (from: End, loop: string): string[] => {
    const target = `/dev/udp/${ADDRESS[from === "near" ? "far" : "near"]}/${PORT}`;
    return [
      "nsenter",
      `--net=/run/netns/${name(from)}`,
      "bash",
      "-c",
      `target=${target}; exec 2>/dev/null 3>$target; ${loop}`,
    ];
  };

  /** Shells that send what they are told, each with a pipe for that and one to say that it is done. */
  const senders = new Map<End, { shell: Bun.Subprocess; directory: string; ask: number; done: number }>();
  function senderFrom(from: End) {
    const there = senders.get(from);
    if (there !== undefined) return there;
    const directory = mkdtempSync(join(tmpdir(), "bpfman-sender-"));
    const [ask, done] = [join(directory, "ask"), join(directory, "done")];
    sh("mkfifo", ask, done);
    const [toAsk, fromDone] = [openSync(ask, "r+"), openSync(done, "r+")];
    // A socket for each datagram: one that was told that nobody listens refuses the next.
    const each = `for ((i = 0; i < count; i++)); do printf "%0\${bytes}d" 0 >$target; done; echo`;
    const shell = Bun.spawn(sending(from, `while read -r count bytes; do ${each}; done <${ask} >${done}`));
    const sender = { shell, directory, ask: toAsk, done: fromDone };
    senders.set(from, sender);
    return sender;
  }
  cleanUpAfterEach(async () => {
    for (const { shell, directory, ask, done } of senders.values()) {
      shell.kill("SIGKILL");
      await shell.exited;
      for (const pipe of [ask, done]) closeSync(pipe);
      rmSync(directory, { recursive: true });
    }
    senders.clear();
  });

  const linkOf = (end: End) => JSON.parse(sh("ip", "-j", "-n", name(end), "link", "show", DEVICE[end]))[0];

  cleanUpAfterEach(() => deleteNamespaces(name("near"), name("far")));
  beforeEach(async () => {
    near = `bpfman-chain-${process.pid}-${made++}`;
    ipBatch([], `netns add ${name("near")}`, `netns add ${name("far")}`);
    for (const end of ["near", "far"] as const) {
      withNetns(`/run/netns/${name(end)}`, () => {
        for (const which of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, "1");
      });
    }
    const peer = `peer name veth1 address ${MAC.far} netns ${name("far")}`;
    ipBatch(["-n", near], `link add veth0 index ${NEAR_INDEX} address ${MAC.near} type veth ${peer}`);
    for (const [end, other] of [
      ["near", "far"],
      ["far", "near"],
    ] as const) {
      ipBatch(
        ["-n", name(end)],
        `address add ${ADDRESS[end]}/24 dev ${DEVICE[end]}`,
        `link set ${DEVICE[end]} up`,
        `neigh replace ${ADDRESS[other]} lladdr ${MAC[other]} dev ${DEVICE[end]} nud permanent`,
      );
    }
    // The carrier comes up a moment later than the command says; then every datagram arrives.
    await until(() => linkOf("near").operstate === "UP" && linkOf("far").operstate === "UP");
    Bun.spawnSync(sending("far", "echo >&3"));
    await until(() => udp("near") === 1);
    sentBefore = transmitted();
    receivedBefore = { near: udp("near"), far: udp("far") };
  });
  return {
    netns: (end) => `/run/netns/${name(end)}`,
    name,
    ifindex: NEAR_INDEX,
    send(count, from = "far", bytes = 1) {
      const { ask, done } = senderFrom(from);
      writeSync(ask, `${count} ${bytes}\n`);
      readSync(done, new Uint8Array(1));
    },
    async flood() {
      const before = transmitted();
      const sender = Bun.spawn(sending("far", "while :; do echo >&3; done"));
      await until(() => transmitted() > before + 10);
      return {
        async stop() {
          sender.kill("SIGKILL");
          await sender.exited;
          // A slow machine's soft interrupts lag behind.
          let last = -1;
          let still = 0;
          await until(() => {
            const now = udp("near") + transmitted();
            still = now === last ? still + 1 : 0;
            last = now;
            return still >= 30;
          });
        },
      };
    },
    sent: () => transmitted() - sentBefore,
    received: (end = "near") => udp(end) - receivedBefore[end],
  };
}

const bytesOf = (value: number, length: number): string[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return [...bytes.subarray(0, length)].map(String);
};

/** What the members of a chain see, and what they are told to return. */
export interface Watch {
  /** How many packets each member saw, by its number. */
  packets(): number[];
  /** Who saw packets since the last `clear`, in this order. */
  seen(): number[];
  clear(): void;
  /** Waits until these have seen packets, in this order, and no other; then clears. */
  follow(members: readonly number[]): Promise<void>;
  /** What members return from now on, by number; the others go on as they were, at first with 0. */
  setVerdicts(verdicts: Readonly<Record<number, number>>): void;
  /** What a program says of a packet after each of these verdicts of member 0. */
  answers(program: number, verdicts: readonly number[]): number[];
}

export interface Members extends Watch {
  /** Pins of the programs, in the order asked for. */
  readonly pins: readonly string[];
  readonly programs: readonly number[];
  /** Calls of packet-changing helpers that succeeded. */
  changes(): number;
}

/** The command of bpftool that writes an entry of a map of 64-bit numbers. */
const update = (map: number, key: number, value: number): string =>
  ["map update id", map, "key", ...bytesOf(key, 4), "value", ...bytesOf(value, 8)].join(" ");

/** Lets bpftool run a program on a packet (BPF_PROG_TEST_RUN), by the commands of `lines`, and answers what it says. */
function verdictsOf(program: number, lines: (run: string) => readonly string[]): number[] {
  const file = join(tmpdir(), `bpfman-packet-${process.pid}`);
  writeFileSync(file, PACKET);
  try {
    const printed = bpftoolBatch(lines(`prog run id ${program} data_in ${file} repeat 1`));
    return printed.flatMap((each: { readonly retval: number } | null) => (each === null ? [] : [each.retval | 0]));
  } finally {
    unlinkSync(file);
  }
}

/** What a program says of a packet that the members look at. */
export const verdictOf = (program: number): number => verdictsOf(program, (run) => [run])[0] ?? Number.NaN;

/** Watches the programs of one load by the ids of their maps. */
export function watchMembers(map: (name: string) => number): Watch {
  const seen = (): number[] => {
    const [length = 0, ...places] = counters(map("trail"));
    return places.slice(0, length).map((place) => place - 1);
  };
  const clear = (): void => setNumbers(map("trail"), { 0: 0 });
  return {
    packets: () => counters(map("packets")),
    seen,
    clear,
    async follow(members) {
      await until(() => seen().length >= members.length);
      expect(seen()).toEqual([...members]);
      clear();
    },
    setVerdicts: (verdicts) => setNumbers(map("verdicts"), verdicts),
    answers: (program, verdicts) =>
      verdictsOf(program, (run) => verdicts.flatMap((verdict) => [update(map("verdicts"), 0, verdict), run])),
  };
}

const twins = new Map<string, TwinToLoad>();

/** What goes into a slot for a program of {@link loadMembers}, by its pin: its twin that was pinned beside it, or a new one. */
export function slotMember(kernel: KernelPort, pin: string): SlotMember {
  const there = kernel.openPin(twinPin(pin));
  there?.close();
  const twin = twins.get(pin);
  return there === null && twin !== undefined ? { twin } : { extension: pinAt(kernel, there ? twinPin(pin) : pin) };
}
/** Where the twin of a program is pinned. */
export const twinPin = (pin: string): string => `${pin}_twin`;

/** Loads programs of a fixture and pins them, each by its name. */
export async function loadMembers(
  kernel: KernelPort,
  from: { fixture: string; programs: readonly string[]; directory: (name: string) => string },
): Promise<Members> {
  const selected = toLoad(from.fixture, ...from.programs);
  const loaded = await kernel.load(selected);
  const pins = loaded.programs.map(({ name }) => from.directory(name));
  for (const [index, { name }] of loaded.programs.entries()) loaded.pinProgram(name, pins[index] ?? "");
  const map = (name: string): number => loaded.maps.find((entry) => entry.name === name)?.id ?? 0;
  const mapsById = new Map(loaded.maps.map((each) => [each.id, each.name]));
  for (const [index, { name, kernel: info }] of loaded.programs.entries()) {
    const { type = "xdp" } = selected.programs[index] ?? {};
    const section = readObject(selected.bytes).programs.find((each) => each.name === name)?.section ?? "";
    const pin = pins[index] ?? "";
    twins.set(pin, {
      name,
      program: { path: pin, kind: "program", id: info.id },
      bytes: twinBytes(selected.bytes, name, type as ChainedKind) ?? new Uint8Array(),
      frags: section === "xdp.frags",
      maps: new Map(info.mapIds.map((id) => [mapsById.get(id) ?? "", id])),
    });
  }
  loaded.close();
  return {
    pins,
    programs: loaded.programs.map((program) => program.kernel.id),
    ...watchMembers(map),
    changes: () => counters(map("changes"))[0] ?? 0,
  };
}
