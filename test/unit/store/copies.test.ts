/** Copies of rows beside the pins: always those of the last commit, and none that others could have written. */
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { kernelLinkId, programId } from "../../../src/domain/ids.ts";
import type { StorePort } from "../../../src/platform/store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { failureOf } from "../../expect/failure.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const records = (name = "") => directory.path(`run/records/${name}`);
const open = (bootId = "boot-1"): StorePort =>
  openStore({ path: directory.path("state/bpfman.db"), mode: "write", bootId, runtimeDir: directory.path("run") });
const names = (): string[] => (existsSync(records()) ? readdirSync(records()).sort() : []);
const KEY = { type: "xdp", nsid: 4026531840, ifindex: 2 } as const;

let store: StorePort;
beforeEach(() => {
  store = open();
});

function fill(): void {
  store.insertProgram(programRecordOf(5), "ready");
  const link = store.insertLink(linkDraftOf(5), () => "/pin");
  store.settleLink(link.id, kernelLinkId(9));
  store.beginRevision(KEY, { interface: "eth0", netns: null, filter: null });
}

describe("copies", () => {
  test("are those of the rows, and go with them, the directory last", () => {
    fill();
    expect(names()).toEqual(["dispatchers_xdp_4026531840_2.json", "links_1.json", "programs_5.json"]);
    expect([statSync(records()).mode & 0o777, statSync(records("links_1.json")).mode & 0o777]).toEqual([0o700, 0o600]);
    const [program, link, chain] = store.copies();
    expect([program?.record, link?.record, chain?.record]).toEqual([
      store.program(programId(5)),
      store.links()[0],
      store.dispatcher(KEY),
    ] as never);
    store.deleteDispatcher(KEY);
    store.deleteLink(store.links()[0]?.id as never);
    store.deleteProgram(programId(5));
    expect(existsSync(records())).toBe(false);
  });

  test("are not written by a transaction that is rolled back", () => {
    fill();
    const before = readFileSync(records("programs_5.json"), "utf8");
    expect(() =>
      store.transaction(() => {
        store.setProgramState(programId(5), "removing");
        store.insertProgram(programRecordOf(6), "ready");
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(names()).toHaveLength(3);
    expect(readFileSync(records("programs_5.json"), "utf8")).toBe(before);
  });

  test("bring rows back as they were, with ids that are not given again", () => {
    fill();
    const before = [store.programs(), store.links(), store.dispatchers()];
    const copies = store.copies();
    store.close();
    rmSync(directory.path("state"), { recursive: true });
    rmSync(directory.path("run/database"));
    store = open();
    expect(store.programs()).toEqual([]);
    store.restore(copies);
    expect([store.programs(), store.links(), store.dispatchers()]).toEqual(before as never);
    expect(Number(store.insertLink(linkDraftOf(5), () => "/other").id)).toBe(2);
    store.restore(copies);
    expect(store.links().length + store.unsettledLinks().length).toBe(2);
  });

  test("are written by the first writer where an earlier version kept none", () => {
    fill();
    rmSync(records(), { recursive: true });
    store.close();
    store = open();
    expect(names()).toHaveLength(3);
  });

  test("of another boot, in part or of unknown shape are left out", () => {
    fill();
    writeFileSync(records("links_1.json"), "{");
    writeFileSync(records("programs_5.json"), JSON.stringify({ boot_id: "boot-1", program_id: "five" }));
    writeFileSync(records("theirs"), "");
    expect(store.copies().map(({ kind }) => kind)).toEqual(["dispatcher"]);
    store.close();
    store = open("boot-2");
    expect(store.copies()).toEqual([]);
    store.refreshCopies();
    expect(names()).toEqual(["theirs"]);
  });

  test("in a directory that others can write to are not read", () => {
    fill();
    chmodSync(records(), 0o777);
    expect(failureOf(() => store.copies()).code).toBe("STATE_CONFLICT");
  });
});
