import { expect, test } from "bun:test";
import { kernelLinkId, linkId, programId } from "../../../src/domain/ids.ts";
import type { LinkDetails } from "../../../src/domain/link.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
function writer(bootId = "boot-1") {
  const store = openStore({ path: directory.path("bpfman.db"), mode: "write", bootId });
  for (const id of [1, 2]) if (store.program(programId(id)) === null) store.insertProgram(programRecordOf(id), "ready");
  return store;
}
const pin = (id: number) => `/run/bpfman/fs/links/${id}`;

const NETWORK = { interface: "eth0", ifindex: 2, netns: null, nsid: 4026531840, priority: 50 };
const EVERY_KIND: readonly LinkDetails[] = [
  { kind: "tcx", direction: "egress", ...NETWORK },
  { kind: "tc", direction: "ingress", position: 3, proceedOn: [-1, 0, 3, 30], ...NETWORK, netns: "/run/netns/blue" },
  { kind: "xdp", position: 0, proceedOn: [2, 31], ...NETWORK },
  { kind: "tracepoint", group: "sched", name: "sched_switch" },
  { kind: "kprobe", fnName: "do_unlinkat", offset: 4 },
  { kind: "kretprobe", fnName: "do_unlinkat", offset: 0 },
  {
    kind: "uprobe",
    path: "/lib/libc.so.6",
    target: "libc",
    fnName: "malloc",
    offset: 0,
    fileOffset: 641_234,
    pid: 7,
    containerPid: null,
    fileId: "8:1234",
  },
  {
    kind: "uretprobe",
    path: "/bin/x",
    target: "/bin/x",
    fnName: null,
    offset: 16,
    fileOffset: 16,
    pid: null,
    containerPid: 9,
    fileId: null,
  },
  { kind: "fentry", fnName: "tcp_connect" },
  { kind: "fexit", fnName: "tcp_connect" },
  { kind: "freplace", targetProgramId: programId(63178), fnName: "decide" },
  { kind: "sockops", cgroup: "/sys/fs/cgroup/a b", cgroupId: 42, attachType: "CGROUP_SOCK_OPS", priority: 1000 },
  { kind: "sk_lookup", netns: "/run/netns/blue", nsid: 4026532193 },
  {
    kind: "netfilter",
    netns: null,
    nsid: 4026531840,
    protocol: "ipv6",
    hook: "output",
    priority: -2_147_483_647,
    defrag: true,
  },
];

test("a link of every kind comes back as it was", () => {
  const store = writer();
  const written = EVERY_KIND.map((details, index) => {
    const record = store.insertLink(linkDraftOf(1, details), pin);
    store.settleLink(record.id, kernelLinkId(500 + index));
    return { ...record, kernelLinkId: kernelLinkId(500 + index) };
  });
  expect(store.links()).toStrictEqual(written);
  store.close();
});

test("a link is pending with its pin path until it is settled", () => {
  const store = writer();
  const record = store.insertLink(linkDraftOf(1), pin);
  expect(record).toStrictEqual({ ...linkDraftOf(1), id: linkId(1), kernelLinkId: null, pinPath: pin(1) });
  expect(store.link(record.id)).toBeNull();
  expect(store.links()).toEqual([]);
  expect(store.unsettledLinks()).toStrictEqual([{ record, state: "pending" }]);
  store.settleLink(record.id, kernelLinkId(77));
  expect(store.unsettledLinks()).toEqual([]);
  expect(store.link(record.id)).toStrictEqual({ ...record, kernelLinkId: kernelLinkId(77) });
  store.setLinkState(record.id, "removing");
  expect(store.link(record.id)).toBeNull();
  expect(store.unsettledLinks().map(({ state }) => state)).toEqual(["removing"]);
  store.close();
});

test("links are listed by id, of one program when asked", () => {
  const store = writer();
  for (const program of [2, 1, 2]) store.settleLink(store.insertLink(linkDraftOf(program), pin).id, kernelLinkId(9));
  expect(store.links().map(({ id }) => Number(id))).toEqual([1, 2, 3]);
  expect(store.links(programId(2)).map(({ id }) => Number(id))).toEqual([1, 3]);
  expect(store.links(programId(3))).toEqual([]);
  store.close();
});

test("a link id is never given twice, in no boot", () => {
  const first = writer();
  const ids = [first.insertLink(linkDraftOf(1), pin).id, first.insertLink(linkDraftOf(1), pin).id];
  first.deleteLink(linkId(2));
  ids.push(first.insertLink(linkDraftOf(1), pin).id);
  first.deleteLink(linkId(1));
  first.deleteLink(linkId(3));
  first.close();
  const second = writer("boot-2");
  ids.push(second.insertLink(linkDraftOf(2), pin).id);
  second.close();
  expect(ids.map(Number)).toEqual([1, 2, 3, 4]);
});

test("links of another boot are neither seen nor changed", () => {
  const first = writer();
  const record = first.insertLink(linkDraftOf(1), pin);
  first.settleLink(record.id, kernelLinkId(77));
  first.close();
  const second = writer("boot-2");
  expect(second.links()).toEqual([]);
  expect(second.link(record.id)).toBeNull();
  expect(() => second.settleLink(record.id, kernelLinkId(78))).toThrow(
    expect.objectContaining({ code: "STATE_CONFLICT" }),
  );
  expect(() => second.setLinkState(record.id, "removing")).toThrow(expect.objectContaining({ code: "STATE_CONFLICT" }));
  second.deleteLink(record.id);
  second.close();
  const again = writer();
  expect(again.links()).toStrictEqual([{ ...record, kernelLinkId: kernelLinkId(77) }]);
  again.close();
});

test("a link needs a program of its own boot", () => {
  const store = writer();
  expect(() => store.insertLink(linkDraftOf(3), pin)).toThrow(expect.objectContaining({ code: "STATE_CONFLICT" }));
  expect(store.unsettledLinks()).toEqual([]);
  store.close();
});

test("when the pin path cannot be said, no row stays", () => {
  const store = writer();
  const refuse = () => {
    throw new Error("no path");
  };
  expect(() => store.insertLink(linkDraftOf(1), refuse)).toThrow("no path");
  expect(store.unsettledLinks()).toEqual([]);
  store.close();
});
