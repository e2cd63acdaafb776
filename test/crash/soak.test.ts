/**
 * The soak: twenty writers, two servers and readers use the same hooks and each other's programs. Nothing is an internal
 * error, everything agrees afterwards, and nothing has grown. For a short time by itself; `bun run test:long` takes ten
 * minutes. BPFMAN_SOAK_SECONDS=N is for others.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { wire } from "../labs/chain-lab.ts";
import { executable, type Failure } from "../labs/executable.ts";
import { RpcProcess } from "../labs/rpc-process.ts";
import { TRACEPOINT, USER_FUNCTION, workload } from "../labs/workload.ts";
import { randomFrom, SEED } from "../objects/damage.ts";

buildBpf();
const fixture = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const SECONDS = Number(process.env.BPFMAN_SOAK_SECONDS ?? 15);
/** For what is under way when the time is over, and for taking everything down. */
const MORE_MS = 10 * 60_000;
const WRITERS = 20;
const READERS = 3;
/** What all of them wait for the lock: as long as it takes. */
const PATIENCE = ["--lock-timeout", "10m"];
/** What may be said of what another has removed just now, or of a hook that is full, or takes one program only. */
const EXPECTED = ["PROGRAM_NOT_FOUND", "LINK_NOT_FOUND", "CHAIN_FULL", "KERNEL_UNSUPPORTED", "MAP_OWNER_NOT_FOUND"];
/** A log of changes and a history at their bounds, with their indexes, and SQLite's log. */
const DATABASE_MAX_BYTES = 16 * 1024 * 1024;
/** What a server may have more at the end than after a fifth of the time: the garbage of one request or another. */
const SERVER_GROWTH_MAX_BYTES = 32 * 1024 * 1024;

const bpfman = executable();
const lab = wire();
const work = workload();

interface Server {
  readonly bytes: number;
  readonly descriptors: number;
}

function look({ pid }: RpcProcess): Server {
  const resident = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { bytes: Number(resident) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

test(
  `twenty writers, two servers and readers, for ${SECONDS} s (BPFMAN_FUZZ_SEED=${SEED})`,
  async () => {
    bpfman.env.BPFMAN_LOG = "error";
    await bpfman.begin();
    const hook = { iface: "veth0", netns: lab.netns() };
    const network = ["-i", hook.iface, "-n", hook.netns];
    const KINDS = [
      { type: "xdp", object: "chain", name: "xdp_member_0", attach: ["xdp", ...network] },
      { type: "tc", object: "chain", name: "tc_member_0", attach: ["tc", "-d", "ingress", ...network] },
      { type: "tcx", object: "chain", name: "tc_member_1", attach: ["tcx", "-d", "egress", ...network] },
      { type: "tracepoint", object: "kinds", name: "count_tracepoint", attach: ["tracepoint", "-t", TRACEPOINT] },
      {
        ...{ type: "uprobe", object: "kinds", name: "count_uprobe" },
        attach: ["uprobe", "--target", work.binary, "-f", USER_FUNCTION],
      },
    ];
    const end = performance.now() + SECONDS * 1000;
    const isOver = (): boolean => performance.now() >= end;
    const said: Record<string, number> = {};
    const note = (what: string): void => {
      said[what] = (said[what] ?? 0) + 1;
    };
    const programs: number[] = [];

    /** Answers what the command printed; null when it was refused. */
    async function run<T>(...words: readonly string[]): Promise<T | null> {
      const { code, out, error } = await bpfman.run(
        ...words,
        ...PATIENCE,
        "--output",
        "json",
        "--error-format",
        "json",
      );
      if (code === 0) {
        note(words.slice(0, 2).join(" ").replace(/ \d+$/, ""));
        return JSON.parse(out);
      }
      const { error: failure }: { readonly error: Failure } = JSON.parse(error);
      note(failure.code);
      if (!EXPECTED.includes(failure.code)) throw new Error(`${words.join(" ")}: ${error}`);
      return null;
    }

    async function write(number: number): Promise<void> {
      const random = randomFrom(SEED + number);
      const oneOf = <T>(list: readonly T[]): T | undefined => list[random(list.length)];
      while (!isOver()) {
        const kind = oneOf(KINDS);
        if (kind === undefined) continue;
        const place = kind.attach.includes("veth0") ? ["-p", String(random(1000))] : [];
        type Loaded = { programs: { record: { program_id: number } }[] };
        const loaded = await run<Loaded>(
          "load",
          "file",
          "--path",
          fixture(kind.object),
          "--programs",
          `${kind.type}:${kind.name}`,
        );
        const id = loaded?.programs[0]?.record.program_id ?? 0;
        programs.push(id);
        type Attached = { record: { id: number } };
        const attached = await run<Attached>("attach", String(id), ...kind.attach, ...place);
        const link = String(attached?.record.id);
        if (attached !== null && (kind.type === "xdp" || kind.type === "tc") && random(2) === 0) {
          await run("link", "update", link, "--priority", String(random(1000)));
        }
        if (attached !== null && random(2) === 0) await run("detach", link);
        if (attached !== null && random(4) === 0) await run("link", "delete", link);
        // Somebody else's, now and then.
        const gone = random(8) === 0 ? (oneOf(programs) ?? id) : id;
        await (random(3) === 0 ? run("program", "delete", "-r", String(gone)) : run("unload", String(gone)));
        if (programs.includes(gone)) programs.splice(programs.indexOf(gone), 1);
      }
    }

    async function read(number: number): Promise<void> {
      const random = randomFrom(SEED - number);
      while (!isOver()) {
        const id = programs[random(programs.length)];
        const lists = [
          ["list", "programs"],
          ["list", "links"],
          ["dispatcher", "list"],
          ["list", "programs", "--all"],
        ];
        await run(
          ...(id !== undefined && random(3) === 0
            ? ["get", "program", String(id)]
            : (lists[random(lists.length)] ?? [])),
        );
      }
    }

    /** A session that changes and reads at once, and hears of what all the others do. */
    async function serve(server: RpcProcess): Promise<void> {
      const refuse = (error: { data?: { code: string } } | undefined): void => {
        if (error === undefined) return;
        note(error.data?.code ?? "no code");
        if (!EXPECTED.includes(error.data?.code ?? "")) throw new Error(JSON.stringify(error));
      };
      const change = async (): Promise<void> => {
        while (!isOver()) {
          const source = { source: { file: fixture("chain") }, programs: [{ type: "tcx", name: "tc_member_2" }] };
          type Loaded = { programs: { record: { program_id: number } }[] };
          const { programs: loaded } = await server.result<Loaded>("program/load", source);
          const programId = loaded[0]?.record.program_id;
          const attach = { kind: "tcx", direction: "egress", priority: 7, ...hook };
          refuse((await server.call("link/attach", { programId, attach })).error);
          refuse((await server.call("program/unload", { programId })).error);
          note("session");
        }
      };
      const ask = async (): Promise<void> => {
        while (!isOver()) {
          for (const method of ["program/list", "link/list", "dispatcher/list"]) await server.result(method);
          note("reads of a session");
          server.heard.frames.splice(0);
        }
      };
      await Promise.all([change(), ask()]);
    }

    const servers = [
      new RpcProcess(bpfman.command("rpc", ...PATIENCE)),
      new RpcProcess(bpfman.command("rpc", ...PATIENCE)),
    ];
    for (const server of servers) {
      await server.initialize();
      await server.result("events/subscribe");
    }
    const early = Bun.sleep(SECONDS * 200).then(() => servers.map(look));
    await Promise.all([
      ...Array.from({ length: WRITERS }, (_, number) => write(number)),
      ...Array.from({ length: READERS }, (_, number) => read(number)),
      ...servers.map(serve),
    ]);
    expect(await bpfman.findings()).toEqual([]);
    const [before, after] = [await early, servers.map(look)];
    for (const server of servers) expect((await server.close()).code).toBe(0);
    await bpfman.ok("program", "delete", "--all");
    await bpfman.expectNothingLeft();
    const size = (name: string): number => statSync(`${bpfman.runtimeDir}/state/${name}`).size;
    const database = size("bpfman.db") + size("bpfman.db-wal");
    console.log(`soak on Linux ${release()}, ${SECONDS} s: ${JSON.stringify({ said, before, after, database })}`);
    for (const [index, server] of after.entries()) {
      expect(server.bytes - (before[index]?.bytes ?? 0)).toBeLessThan(SERVER_GROWTH_MAX_BYTES);
      expect(server.descriptors).toBeLessThanOrEqual((before[index]?.descriptors ?? 0) + 2);
    }
    expect(database).toBeLessThan(DATABASE_MAX_BYTES);
    expect(said.unload ?? 0).toBeGreaterThan(0);
  },
  SECONDS * 1000 + MORE_MS,
);
