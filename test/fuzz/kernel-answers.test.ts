/**
 * Damaged netlink datagrams and dispatcher configurations: each is either read or rejected with the intended error.
 * Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_FUZZ_ROUNDS=N runs more rounds.
 */
import { expect, test } from "bun:test";
import { encodeMessage, nested, textAttribute, u32Attribute } from "../../ffi/layout/netlink.ts";
import { decodeInterface } from "../../ffi/safe/interface-xdp.ts";
import { readDatagram } from "../../ffi/safe/rtnetlink.ts";
import { decodeFilter } from "../../ffi/safe/traffic-control.ts";
import { SysError } from "../../ffi/sys-error.ts";
import { readTcConfig, readXdpConfig, tcConfig, xdpConfig } from "../../src/dispatcher/dispatcher-config.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import { type Places, ROUNDS, storm } from "../objects/damage.ts";

const everyFourth: Places = (bytes) => Array.from({ length: Math.ceil(bytes.length / 4) }, (_, word) => word * 4);

const RTM_NEWTFILTER = 44;
const RTM_NEWLINK = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** NLM_F_CAPPED | NLM_F_ACK_TLVS */
const WITH_WORDS = 0x300;

const message = (type: number, body: Uint8Array, flags = 0): Uint8Array => encodeMessage({ type, flags, body }, 1);
const words = (...values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** A cls_bpf filter at priority 50, handle 1. */
const filter = Buffer.concat([
  words(0, 5, 1, 0xffff_fff2, 50 * 0x1_0000 + 0x0300),
  textAttribute(1, "bpf"),
  nested(2, u32Attribute(6, 3), textAttribute(7, "a_program"), u32Attribute(11, 77)),
]);
/** An interface with a program in the driver. */
const link = Buffer.concat([words(0, 5, 0, 0), textAttribute(3, "veth0"), nested(43, u32Attribute(5, 88))]);
/** -EINVAL, with the kernel's own words behind the header of the request. */
const refusal = Buffer.concat([words(2 ** 32 - 22, 36, 0, 0, 0), textAttribute(1, "no such thing")]);

test("the messages of this test are what the decoders take them for", () => {
  expect(decodeFilter(filter, 50)).toEqual({ kind: "bpf", priority: 50, handle: 1, programId: 77, name: "a_program" });
  expect(decodeFilter(filter, 51)).toBeNull();
  expect(decodeInterface(link)).toEqual({ name: "veth0", programs: [{ mode: "drv", programId: 88 }] });
  const whole = Buffer.concat([message(RTM_NEWTFILTER, filter), message(NLMSG_DONE, words(0))]);
  expect(readDatagram(whole, "test")).toMatchObject({ ended: true, bodies: [new Uint8Array(filter)] });
  const refused = () => readDatagram(message(NLMSG_ERROR, refusal, WITH_WORDS), "test");
  expect(refused).toThrow("no such thing");
});

test("netlink datagrams", () => {
  const seeds = [
    Buffer.concat([message(RTM_NEWTFILTER, filter), message(RTM_NEWTFILTER, filter), message(NLMSG_DONE, words(0))]),
    Buffer.concat([message(RTM_NEWLINK, link), message(NLMSG_ERROR, words(0, 36, 0, 0, 0))]),
    message(NLMSG_ERROR, refusal, WITH_WORDS),
  ].map((bytes) => new Uint8Array(bytes));
  const isRefusal = (error: unknown) => error instanceof RangeError || error instanceof SysError;
  const { accepted, refused } = storm({ seeds, places: everyFourth, isRefusal }, (bytes) => {
    const { bodies } = readDatagram(bytes, "test");
    for (const body of bodies) {
      for (const { mode, programId } of decodeInterface(body).programs) {
        expect(["drv", "skb", "hw"]).toContain(mode);
        expect(programId).toBeGreaterThan(0);
      }
      const found = decodeFilter(body, 50);
      expect(found?.handle ?? 1).toBeGreaterThan(0);
      expect(found?.programId ?? 0).toBeLessThan(2 ** 32);
    }
  });
  expect(accepted).toBeGreaterThan(ROUNDS / 20);
  expect(refused).toBeGreaterThan(ROUNDS / 20);
});

test("dispatcher configurations", () => {
  const member = { priority: 50, proceedOn: [2, 31], frags: true };
  const xdp = xdpConfig({ members: [member, { ...member, priority: 7, frags: false }], frags: false });
  const tc = tcConfig({ members: [{ priority: 50, proceedOn: [-1, 0, 3, 30] }] });
  const sound = (members: readonly { readonly priority: number; readonly proceedOn: readonly number[] }[]) => {
    expect(members.length).toBeLessThanOrEqual(10);
    for (const { priority, proceedOn } of members) {
      expect(priority).toBeLessThan(2 ** 32);
      for (const value of proceedOn) expect(value >= -1 && value < 32).toBe(true);
    }
  };
  const isRefusal = (error: unknown) => error instanceof BpfmanError && error.code === "STATE_CONFLICT";
  for (const [seeds, read] of [
    [[xdp], (bytes: Uint8Array) => sound(readXdpConfig(bytes).members)],
    [[tc], (bytes: Uint8Array) => sound(readTcConfig(bytes).members)],
  ] as const) {
    const { accepted, refused } = storm({ seeds, places: everyFourth, isRefusal }, read);
    expect(accepted).toBeGreaterThan(ROUNDS / 20);
    expect(refused).toBeGreaterThan(ROUNDS / 20);
  }
});
