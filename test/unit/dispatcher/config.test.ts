import { describe, expect, test } from "bun:test";
import { TC_ACTIONS, XDP_ACTIONS } from "../../../src/domain/actions.ts";
import {
  proceedOnMask,
  readTcConfig,
  readXdpConfig,
  TC_CONFIG_BYTES,
  tcConfig,
  XDP_CONFIG_BYTES,
  xdpConfig,
} from "../../../src/dispatcher/dispatcher-config.ts";
import { failureOf } from "../../expect/failure.ts";

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
/** Every value that has a bit. */
const ALL = {
  xdp: Array.from({ length: 32 }, (_, bit) => bit),
  tc: Array.from({ length: 32 }, (_, bit) => bit - 1),
} as const;

describe("masks", () => {
  test("XDP: bit n is action n", () => {
    for (const [name, bit] of Object.entries({
      aborted: 0,
      drop: 1,
      pass: 2,
      tx: 3,
      redirect: 4,
      dispatcher_return: 31,
    })) {
      const value = XDP_ACTIONS[name as keyof typeof XDP_ACTIONS];
      expect(proceedOnMask("xdp", [value])).toBe(2 ** bit);
    }
  });

  test("TC: bit n is action n - 1", () => {
    const bits = {
      unspec: 0,
      ok: 1,
      reclassify: 2,
      shot: 3,
      pipe: 4,
      stolen: 5,
      queued: 6,
      repeat: 7,
      redirect: 8,
      trap: 9,
      dispatcher_return: 31,
    };
    expect(Object.keys(bits)).toEqual(Object.keys(TC_ACTIONS));
    for (const [name, bit] of Object.entries(bits)) {
      expect(proceedOnMask("tc", [TC_ACTIONS[name as keyof typeof TC_ACTIONS]])).toBe(2 ** bit);
    }
  });

  test("are unsigned, and values may stand twice", () => {
    for (const hook of ["xdp", "tc"] as const) {
      expect(proceedOnMask(hook, [])).toBe(0);
      expect(proceedOnMask(hook, ALL[hook])).toBe(0xffff_ffff);
      expect(proceedOnMask(hook, [...ALL[hook], ...ALL[hook]])).toBe(0xffff_ffff);
    }
  });

  test("a number without a bit is rejected", () => {
    for (const value of [-1, 32, 1.5, Number.NaN]) expect(() => proceedOnMask("xdp", [value])).toThrow(RangeError);
    for (const value of [-2, 31, 0.5, Number.NaN]) expect(() => proceedOnMask("tc", [value])).toThrow(RangeError);
  });
});

describe("bytes", () => {
  test("of an XDP dispatcher", () => {
    const bytes = xdpConfig({
      members: [
        { priority: 7, proceedOn: [2, 31], frags: true },
        { priority: 1000, proceedOn: [0, 1, 4], frags: false },
      ],
      frags: false,
    });
    expect(bytes.length).toBe(124);
    const expected = new Uint8Array(124);
    expected.set([236, 2, 2, 0]);
    expected.set([0x04, 0, 0, 0x80, 0b10011], 4);
    expected.set([7, 0, 0, 0, 0xe8, 0x03], 44);
    expected.set([32], 84);
    expect(Buffer.from(bytes).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
    expect(xdpConfig({ members: [], frags: true })[3]).toBe(1);
  });

  test("of a TC dispatcher", () => {
    const bytes = tcConfig({ members: [{ priority: 258, proceedOn: [-1, 8, 30] }] });
    expect(bytes.length).toBe(84);
    const expected = new Uint8Array(84);
    expected.set([1]);
    expected.set([0x01, 0x02, 0, 0x80], 4);
    expected.set([2, 1], 44);
    expect(Buffer.from(bytes).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
  });

  test("hold ten members at most", () => {
    const members = (count: number) =>
      Array.from({ length: count }, () => ({ priority: 1, proceedOn: [0], frags: false }));
    expect(xdpConfig({ members: members(10), frags: false })[2]).toBe(10);
    expect(tcConfig({ members: members(10) })[0]).toBe(10);
    expect(() => xdpConfig({ members: members(11), frags: false })).toThrow(RangeError);
    expect(() => tcConfig({ members: members(11) })).toThrow(RangeError);
  });
});

describe("reading", () => {
  test("gives back what was written, also from the middle of a buffer", () => {
    for (let count = 0; count <= 10; count++) {
      const members = Array.from({ length: count }, (_, index) => ({
        priority: index * 111,
        proceedOn: ALL.xdp.filter((value) => (value * 7 + index) % 3 === 0),
        frags: index % 2 === 0,
      }));
      const xdp = { members, frags: count % 2 === 0 };
      const padded = new Uint8Array(200);
      padded.set(xdpConfig(xdp), 13);
      expect(readXdpConfig(padded.subarray(13, 13 + XDP_CONFIG_BYTES))).toEqual(xdp);
      const tc = {
        members: members.map(({ priority, proceedOn }) => ({
          priority,
          proceedOn: proceedOn.map((value) => value - 1),
        })),
      };
      expect(readTcConfig(tcConfig(tc))).toEqual(tc);
    }
  });

  test("rejects what it does not know", () => {
    const changed = (offset: number, value: number) => {
      const bytes = xdpConfig({ members: [], frags: false });
      bytes[offset] = value;
      return bytes;
    };
    for (const [bytes, reason] of [
      [changed(0, 235), "it begins with 235, not 236"],
      [changed(1, 3), "version 3 is newer than 2"],
      [changed(1, 255), "version 255 is newer than 2"],
      [changed(1, 1), "version 1 is older than 2"],
      [changed(2, 11), "it has 11 programs in 10 slots"],
      [changed(2, 255), "it has 255 programs in 10 slots"],
      [new Uint8Array(), "it has 0 bytes, not 124"],
      [changed(0, 236).subarray(0, 123), "it has 123 bytes, not 124"],
      [new Uint8Array(125), "it has 125 bytes, not 124"],
    ] as const) {
      expect(failureOf(() => readXdpConfig(bytes))).toMatchObject({
        code: "STATE_CONFLICT",
        message: expect.stringContaining(reason),
      });
    }
    const eleven = tcConfig({ members: [] });
    eleven[0] = 11;
    expect(failureOf(() => readTcConfig(eleven)).code).toBe("STATE_CONFLICT");
    expect(failureOf(() => readTcConfig(new Uint8Array(TC_CONFIG_BYTES + 4))).code).toBe("STATE_CONFLICT");
  });

  test("of any bytes either answers or says STATE_CONFLICT", () => {
    let state = 12345;
    const random = () => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state >>> 16;
    };
    for (let round = 0; round < 500; round++) {
      const bytes = Uint8Array.from({ length: XDP_CONFIG_BYTES }, random);
      bytes.set([236, 2], 0);
      bytes[2] = random() % 14;
      if ((bytes[2] ?? 0) > 10) expect(failureOf(() => readXdpConfig(bytes)).code).toBe("STATE_CONFLICT");
      else {
        const config = readXdpConfig(bytes);
        const again = viewOf(xdpConfig(config));
        for (let slot = 0; slot < config.members.length; slot++) {
          for (const array of [4, 44]) {
            expect(again.getUint32(array + 4 * slot, true)).toBe(viewOf(bytes).getUint32(array + 4 * slot, true));
          }
        }
      }
    }
  });
});
