import { describe, expect, test } from "bun:test";
import { type Frame, FrameDecoder } from "../../../rpc/frame-decoder.ts";
import { FRAME_BYTES_MAX, HEADER_BYTES_MAX } from "../../../src/domain/limits.ts";

/** What comes out of these bytes, cut into pieces of `size`. */
function decode(input: string | Uint8Array, size = Number.POSITIVE_INFINITY): (string | { broken: string })[] {
  const bytes = typeof input === "string" ? Buffer.from(input) : input;
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  const drain = (): void => {
    for (let frame = decoder.next(); frame !== null; frame = decoder.next()) frames.push(frame);
  };
  for (let at = 0; at < bytes.length; at += size) {
    decoder.push(bytes.subarray(at, at + size));
    drain();
  }
  const end = decoder.end();
  if (end !== null) frames.push(end);
  return frames.map((each) => (each.kind === "body" ? Buffer.from(each.bytes).toString() : { broken: each.reason }));
}

const frame = (body: string, eol = "\r\n"): string => `Content-Length: ${Buffer.byteLength(body)}${eol}${eol}${body}`;
const TWO = `${frame('{"a":1}')}${frame('{"ü":"€"}')}`;

describe("frames", () => {
  test.each([1, 2, 3, 7, 16, 1000])("split into pieces of %d bytes, and merged", (size) => {
    expect(decode(TWO, size)).toEqual(['{"a":1}', '{"ü":"€"}']);
  });

  test("an empty body is a frame", () => expect(decode(`${frame("")}${frame("{}")}`)).toEqual(["", "{}"]));

  test.each([1, 5, 1000])("lines may end with LF alone, in pieces of %d bytes", (size) => {
    expect(decode(`${frame("1", "\n")}Content-Length: 1\r\n\n2${frame("3")}`, size)).toEqual(["1", "2", "3"]);
  });

  test("other headers are ignored, names are case-insensitive, spaces are ignored", () => {
    expect(decode("content-LENGTH :  2  \r\nX-Other: y\r\nContent-Type: a/b; charset=utf-8\r\n\r\n{}")).toEqual(["{}"]);
  });

  test("nothing at all is no mistake", () => expect(decode("")).toEqual([]));

  test("a large body in many pieces", () => {
    const body = "x".repeat(1_000_000);
    expect(decode(frame(body) + frame("1"), 4096)).toEqual([body, "1"]);
  });
});

describe("broken off", () => {
  test.each([
    ["no Content-Length", "X: 1\r\n\r\n{}", "without Content-Length"],
    ["only the empty line", "\r\n{}", "without Content-Length"],
    ["negative", "Content-Length: -1\r\n\r\n", 'Content-Length "-1" is not a number of bytes'],
    ["not a number", "Content-Length: two\r\n\r\n{}", "is not a number"],
    ["hexadecimal", "Content-Length: 0x2\r\n\r\n{}", "is not a number"],
    ["10 GB", "Content-Length: 10000000000\r\n\r\n{}", `10000000000 bytes is more than ${FRAME_BYTES_MAX}`],
    ["one byte too many", `Content-Length: ${FRAME_BYTES_MAX + 1}\r\n\r\n`, "is more than"],
    ["a number beyond all", `Content-Length: ${"9".repeat(400)}\r\n\r\n{}`, "is more than"],
    ["two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "two different"],
    ["bare JSON", '{"jsonrpc":"2.0"}\n\n', "the header is missing"],
    ["a line that is not a header", "Content-Length: 2\r\nhello there\r\n\r\n{}", "not with hello there"],
    ["a header from the middle on", ": 2\r\n\r\n{}", "the header is missing"],
    ["another charset", "Content-Type: x; charset=utf-16\r\nContent-Length: 2\r\n\r\n{}", "only UTF-8"],
    ["end in a header", "Content-Len", "ended in the middle"],
    ["end in a body", "Content-Length: 5\r\n\r\n{}", "ended in the middle"],
  ])("%s", (_name, input, reason) => {
    for (const size of [1, 1000]) expect(decode(input, size)).toEqual([{ broken: expect.stringContaining(reason) }]);
  });

  test.each([
    ["a line", '{"jsonrpc":"2.0","id":1,"method":"version"}\n'],
    ["no line", '{"jsonrpc":"2.0","id":1,"method":"version"}'],
    ["a batch", "[{"],
    ["behind a frame", `${frame("1")}{"jsonrpc":"2.0"}\n`],
    ["a wrong line", "hello\n"],
  ])("bare JSON, before the input ends: %s", (_name, input) => {
    const decoder = new FrameDecoder();
    decoder.push(Buffer.from(input));
    const frames: (Frame | null)[] = [decoder.next(), decoder.next()];
    expect(frames.find((each) => each?.kind === "broken")).toMatchObject({
      reason: expect.stringContaining('"Content-Length: N"'),
    });
  });

  test("a header without end, whether it has lines or not", () => {
    for (const endless of ["a".repeat(HEADER_BYTES_MAX + 1), "X: y\r\n".repeat(2000)]) {
      expect(decode(endless, 100)).toEqual([{ broken: expect.stringContaining(`more than ${HEADER_BYTES_MAX}`) }]);
    }
  });

  test("a header as large as it may be", () => {
    const length = "Content-Length: 2\r\n";
    const filler = `X: ${"y".repeat(HEADER_BYTES_MAX - length.length - 7)}\r\n`;
    expect((length + filler).length + 2).toBe(HEADER_BYTES_MAX);
    expect(decode(`${length}${filler}\r\n{}`, 1000)).toEqual(["{}"]);
  });

  test("what comes after it is not looked at", () => {
    expect(decode(`${frame("1")}X\r\n\r\n${frame("2")}`)).toEqual(["1", { broken: expect.any(String) }]);
  });
});
