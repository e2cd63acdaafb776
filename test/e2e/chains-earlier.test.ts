/**
 * XDP programs that an earlier version loaded, as extensions. With BPFMAN_EARLIER, the path of the executable of such a
 * version (commit 619f192 is the last one), it loads and attaches them itself; otherwise the state that it left is made:
 * the rows of programs, and at their pins extensions for that version's dispatchers.
 */
import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { existsSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { xdpConfig } from "../../src/dispatcher/dispatcher-config.ts";
import type { DispatcherListAnswer, LinkAnswer, LoadAnswer, ProgramAnswer } from "../../src/domain/answer.ts";
import { mapId, programId } from "../../src/domain/ids.ts";
import { programPin } from "../../src/domain/pin.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { twinBytes } from "../../src/object/object-file.ts";
import type { TwinToLoad } from "../../src/platform/kernel.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { sh } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
const EARLIER = process.env.BPFMAN_EARLIER;
const NAMES = ["xdp_member_0", "xdp_member_1"];
const PASSES = 2;

const bpfman = executable();
const lab = wire();
const words = (priority: number): string[] => ["xdp", "-i", "veth0", "-n", lab.netns(), "-p", String(priority)];
const selected = NAMES.map((name) => `xdp:${name}`);

/** The ids of the programs, which are attached with the priorities 100 and 200. */
async function byEarlierVersion(executable: string): Promise<number[]> {
  const run = (...line: readonly string[]) =>
    JSON.parse(sh(executable, "--runtime-dir", bpfman.runtimeDir, ...line, "-o", "json"));
  const { programs }: LoadAnswer = run("load", "file", "--path", OBJECT, "--programs", ...selected);
  const ids = NAMES.map((name) => idOf(programs, name));
  for (const [index, id] of ids.entries()) run("attach", String(id), ...words(100 * (index + 1)));
  return ids;
}

async function byHand(): Promise<number[]> {
  const programs = await bpfman.load(OBJECT, "--programs", ...selected);
  const ids: number[] = [];
  for (const name of NAMES) ids.push(await makeExtension(programs, name));
  for (const [index, id] of ids.entries()) await bpfman.attach(id, ...words(100 * (index + 1)));
  return ids;
}

/** Puts an extension in the place of a program: at its pin, in its row, and with its bytecode. */
async function makeExtension(programs: readonly ProgramAnswer[], name: string): Promise<number> {
  const id = programId(idOf(programs, name));
  const fs = join(bpfman.runtimeDir, "fs");
  const { maps } = programs.find(({ record }) => record?.program_id === id)!.status;
  const twin: TwinToLoad = {
    name,
    program: programPin(`${fs}/prog_${id}`, id),
    frags: false,
    bytes: twinBytes(readFileSync(OBJECT), name, "xdp")!,
    maps: new Map(maps.map((map) => [map.name, mapId(map.id)])),
  };
  const config = xdpConfig({ members: [{ priority: 50, proceedOn: [PASSES], frags: false }], frags: false });
  const parts = { hook: "xdp", config, members: [{ twin }], frags: false, expectedAttachType: "XDP" } as const;
  const dispatcher = await openKernel().loadDispatcher(parts);
  const [extension = 0] = dispatcher.extensions;
  dispatcher.pinExtension(0, `${fs}/prog_${extension}`);
  dispatcher.close();
  unlinkSync(twin.program.path);
  const rows = new Database(join(bpfman.runtimeDir, "state/bpfman.db"));
  const [from, to] = [`${fs}/maps/${id}`, `${fs}/maps/${extension}`];
  // The maps of those that were loaded together are below the first one's id.
  if (existsSync(from)) {
    renameSync(from, to);
    for (const column of ["map_pin_path", "maps"]) {
      rows.run(`UPDATE programs SET ${column} = replace(${column}, ?, ?)`, [from, to]);
    }
  }
  rows.run("UPDATE programs SET program_id = ?, pin_path = ? WHERE program_id = ?", [
    ...[extension, `${fs}/prog_${extension}`, id],
  ]);
  rows.close();
  return extension;
}

extensionTest(
  "programs that an earlier version loaded as extensions run on, and leave when they are detached",
  async () => {
    const ids = EARLIER === undefined ? await byHand() : await byEarlierVersion(EARLIER);
    const earlier: ProgramAnswer[] = [];
    for (const id of ids) earlier.push(await bpfman.json("get", "program", String(id)));
    expect(earlier.map(({ record, status }) => [record?.load.program_name, status.kernel?.program_type])).toEqual(
      NAMES.map((name) => [name, "extension"]),
    );
    const chain = watchMembers((name) => mapOf(earlier, name));
    chain.setVerdicts({ 0: PASSES, 1: PASSES });
    const follow = async (members: readonly number[]) => {
      lab.send(1);
      await chain.follow(members);
    };
    await follow([0, 1]);

    expect((await bpfman.programs()).map((program) => program.program_id).sort()).toEqual(ids.toSorted());
    const links = await bpfman.links();
    expect(links.map((link) => link.program_id)).toEqual(ids);
    for (const { id } of links) {
      const { status }: LinkAnswer = await bpfman.json("get", "link", String(id));
      expect(status).toMatchObject({ kernel_seen: true, pin_present: true });
    }
    const { dispatchers }: DispatcherListAnswer = await bpfman.json("dispatcher", "list");
    expect(dispatchers).toMatchObject([{ interface: "veth0", mode: "chain", member_count: 2 }]);

    const late = await bpfman.load(OBJECT, "--programs", "xdp:xdp_member_2");
    const newcomer = idOf(late, "xdp_member_2");
    const watch = watchMembers((name) => mapOf(late, name));
    watch.setVerdicts({ 2: PASSES });
    const refused = async (programs: readonly number[]) => {
      const failure = await bpfman.refused(5, "STATE_CONFLICT", "attach", String(newcomer), ...words(300));
      expect(failure.details).toMatchObject({ programs });
      expect(failure.hint).toBe("detach the programs named, then load and attach them again");
    };
    await refused(ids);
    await follow([0, 1]);
    await bpfman.ok("link", "update", String(links[0]?.id), "--priority", "250");
    await follow([1, 0]);
    await bpfman.ok("detach", String(links[0]?.id));
    await follow([1]);
    await refused(ids.slice(1));
    await follow([1]);
    // As the advice says.
    const again = await bpfman.load(OBJECT, "--programs", "xdp:xdp_member_1", "--map-owner-id", String(ids[0]));
    await bpfman.ok("detach", String(links[1]?.id));
    await bpfman.ok("attach", String(idOf(again, "xdp_member_1")), ...words(200));
    await bpfman.ok("attach", String(newcomer), ...words(300));
    await follow([1]);
    await watch.follow([2]);
    expect(lab.received()).toBe(6);
    await bpfman.ok("unload", ...(await bpfman.programs()).map((program) => String(program.program_id)));
    // Versions before commit 2b1314d did not record what they verified programs against, so it is not touched.
    const unrecorded = join(bpfman.runtimeDir, "fs/dispatcher-test/xdp");
    if (EARLIER !== undefined && existsSync(unrecorded)) unlinkSync(unrecorded);
    await bpfman.expectNothingLeft();
  },
);
