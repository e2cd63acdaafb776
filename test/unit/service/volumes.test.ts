/** What is published for containers, and what is not. faults.test.ts has what becomes of it when something fails. */
import { expect, test } from "bun:test";
import type { BpfmanError } from "../../../src/errors/error.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

const load = (app: string) =>
  invoke("program/load", {
    ...{ source: { file: "/x.o" }, programs: [{ type: "tcx", name: "count" }] },
    metadata: { "bpfman.io/ProgramName": app },
  });
const VOLUME = { volumeId: "csi-1", targetPath: "/pods/1/mount", program: "app", maps: ["counters"] };
const PLACE = { volumeId: "csi-1", targetPath: "/pods/1/mount" };
const refusal = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "none",
    ({ code }: BpfmanError) => code,
  );
const pinned = () => [...bed.kernel.pins.keys()].filter((path) => path.startsWith("/fake/csi/"));
const mapBehind = (path: string) => bed.kernel.openPin(path)?.id;

test("a volume has the maps that were asked for, and no others, until it is unpublished", async () => {
  await load("app");
  const asked = { ...VOLUME, maps: ["shared_counts", "counters", "counters"], readOnly: true, group: 2000 };
  const answer = {
    ...{ volume_id: "csi-1", target_path: "/pods/1/mount", program: "app" },
    ...{ maps: ["counters", "shared_counts"], read_only: true, group: 2000 },
  };
  expect(await invoke("volume/publish", asked)).toEqual({ ...answer, published: true });
  expect(pinned()).toEqual(["/fake/csi/fs/csi-1/counters", "/fake/csi/fs/csi-1/shared_counts"]);
  expect([...bed.volumes.opened.values()]).toEqual([2000, 2000]);
  expect(await invoke("volume/publish", asked)).toEqual({ ...answer, published: false });
  // At another place there is nothing of it.
  expect(await invoke("volume/unpublish", { ...PLACE, targetPath: "/pods/2/mount" })).toMatchObject({
    unpublished: false,
  });
  expect(pinned()).toHaveLength(2);
  for (const unpublished of [true, false]) {
    expect(await invoke("volume/unpublish", PLACE)).toEqual({ volume_id: "csi-1", unpublished });
    expect([pinned(), bed.volumes.there.size]).toEqual([[], 0]);
  }
});

test.each([
  ["another target", { targetPath: "/pods/2/mount" }],
  ["another program", { program: "other" }],
  ["other maps", { maps: ["shared_counts"] }],
  ["not only to be read", { readOnly: true }],
  ["for a group", { group: 1 }],
])("published again %s, it stays as it is", async (_, change) => {
  await load("app");
  await load("other");
  await invoke("volume/publish", VOLUME);
  expect(await refusal(invoke("volume/publish", { ...VOLUME, ...change }))).toBe("VOLUME_EXISTS");
  expect(await invoke("volume/publish", VOLUME)).toMatchObject({ published: false });
});

test("what cannot be published leaves nothing", async () => {
  expect(await refusal(invoke("volume/publish", VOLUME))).toBe("PROGRAM_NOT_FOUND");
  await load("other");
  expect(await refusal(invoke("volume/publish", VOLUME))).toBe("PROGRAM_NOT_FOUND");
  await load("app");
  expect(await refusal(invoke("volume/publish", { ...VOLUME, maps: ["counters", "nope"] }))).toBe("MAP_NOT_FOUND");
  // The object's global data have no name in a file system.
  expect(await refusal(invoke("volume/publish", { ...VOLUME, maps: [".bss"] }))).toBe("MAP_NOT_FOUND");
  bed.volumes.taken.add(VOLUME.targetPath);
  expect(await refusal(invoke("volume/publish", VOLUME))).toBe("INVALID_VOLUME");
  bed.capabilities = ["CAP_BPF"];
  expect(await refusal(invoke("volume/publish", VOLUME))).toBe("PERMISSION_DENIED");
  expect(await refusal(invoke("volume/unpublish", PLACE))).toBe("PERMISSION_DENIED");
  bed.inspect(({ store }) => expect(store.volumes().all()).toEqual([]));
  expect([pinned(), bed.volumes.there.size]).toEqual([[], 0]);
});

const NAMES = ["", ".", "..", "../x", "a/b", "-a", "a\n", "a b", "\u00e4", "a".repeat(129)];
const TARGETS = [
  ...["", "relative/path", "/", "/run", "//pods/1", "/pods/", "/pods/../etc", "/pods/./x", "/pods/a\nb", "/pods/a\0b"],
  ...["/etc/cron.d", "/usr/local/empty", "/proc/1/root", "/sys/fs/bpf", "/dev/shm", "/boot/x", "/lib64/x"],
  ...[`/pods/${"a".repeat(256)}`, `/pods${"/a".repeat(2100)}`, "/pods/\ud800"],
];

test("names and targets that lead elsewhere are refused before anything is looked at", async () => {
  for (const [field, values] of [
    ["volumeId", NAMES],
    ["targetPath", TARGETS],
  ] as const) {
    for (const value of values) {
      for (const operation of ["volume/publish", "volume/unpublish"] as const) {
        const request = operation === "volume/publish" ? VOLUME : PLACE;
        const asked = invoke(operation, { ...request, [field]: value });
        expect([operation, value, await refusal(asked)]).toEqual([operation, value, "INVALID_REQUEST"]);
      }
    }
  }
});

test("the newest programs of that name give the maps", async () => {
  await load("app");
  bed.write(({ store }) => {
    const [old] = store.programs();
    store.deleteProgram(old?.id as never);
    store.insertProgram({ ...(old as NonNullable<typeof old>), createdAt: new Date(0) }, "ready");
  });
  await load("app");
  await invoke("volume/publish", { ...VOLUME, maps: ["counters"] });
  expect(mapBehind("/fake/csi/fs/csi-1/counters")).toBe(mapBehind("/fake/fs/maps/101/counters") as never);
  expect(mapBehind("/fake/fs/maps/100/counters")).not.toBe(mapBehind("/fake/fs/maps/101/counters"));
});

test("after a reboot, or when its target was unmounted, it is published anew", async () => {
  await load("app");
  await invoke("volume/publish", VOLUME);
  (bed.volumes.there.get("csi-1") as { target: string | null }).target = null;
  expect((await invoke("doctor", {})).findings.map(({ code }) => code)).toEqual(["volume-gone"]);
  expect(await invoke("volume/publish", VOLUME)).toMatchObject({ published: true });
  expect((await invoke("doctor", {})).findings).toEqual([]);
  bed.reboot();
  bed.volumes.there.clear();
  expect(await invoke("volume/unpublish", PLACE)).toMatchObject({ unpublished: false });
  await load("app");
  expect(await invoke("volume/publish", { ...VOLUME, readOnly: true })).toMatchObject({ published: true });
  bed.inspect(({ store }) => expect(store.volumes().all()).toHaveLength(1));
});

test("doctor finds what no row records, and repair removes it; a publish does so too", async () => {
  await load("app");
  for (const clear of [() => invoke("repair", {}), () => invoke("volume/publish", VOLUME)]) {
    await invoke("volume/publish", VOLUME);
    bed.write(({ store }) => store.volumes().delete("csi-1"));
    expect((await invoke("doctor", {})).findings.map(({ code }) => code)).toEqual(["volume-left"]);
    await clear();
    expect((await invoke("doctor", {})).findings).toEqual([]);
  }
});

test("without its row it is unpublished as well, and what is there of another one is an error", async () => {
  await load("app");
  await invoke("volume/publish", VOLUME);
  bed.write(({ store }) => store.volumes().delete("csi-1"));
  expect(await refusal(invoke("volume/unpublish", { ...PLACE, volumeId: "csi-2" }))).toBe("STATE_CONFLICT");
  expect(bed.volumes.there.size).toBe(1);
  for (const unpublished of [true, false]) {
    expect(await invoke("volume/unpublish", PLACE)).toEqual({ volume_id: "csi-1", unpublished });
    expect([pinned(), bed.volumes.there.size]).toEqual([[], 0]);
  }
});

test("what its row has at another place is not unpublished where somebody bound it", async () => {
  await load("app");
  await invoke("volume/publish", VOLUME);
  const volume = bed.volumes.there.get("csi-1") as { target: string | null };
  volume.target = "/pods/copy";
  expect(await refusal(invoke("volume/unpublish", { ...PLACE, targetPath: "/pods/copy" }))).toBe("STATE_CONFLICT");
  expect([bed.volumes.there.size, pinned().length]).toEqual([1, 1]);
  volume.target = PLACE.targetPath;
  expect(await invoke("volume/unpublish", PLACE)).toMatchObject({ unpublished: true });
});

test("the runtime directory is not given up while a volume is published", async () => {
  await load("app");
  await invoke("volume/publish", VOLUME);
  const all = { programId: null, all: true, unmount: true };
  expect(await invoke("program/delete", all)).toMatchObject({ deleted: [100], unmounted: false });
  expect(bed.logged.at(-1)).toContain("/pods/1/mount");
  // Its maps are still there.
  expect(pinned()).toEqual(["/fake/csi/fs/csi-1/counters"]);
});
