import { expect, test } from "bun:test";
import { LOG_LEVELS, type LogLevel } from "../../../src/domain/log.ts";
import { openLog } from "../../../src/log/open-log.ts";

function lines(level: LogLevel, say: (log: ReturnType<typeof openLog>) => void): string[] {
  const written: string[] = [];
  say(openLog(level, (text) => written.push(text)));
  return written;
}
/** One message without its time. */
const said = (message: string, facts: Record<string, unknown>): string =>
  (lines("trace", (log) => log.warn(message, facts))[0] ?? "").replace(/^\S+ WARN /, "");

test("a message is one line with time, level, text and facts", () => {
  const [line = ""] = lines("info", (log) => log.info("loaded", { program: 5, name: "count", path: "/x/y.o" }));
  expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO loaded program=5 name=count path=\/x\/y\.o\n$/);
});

test("each level shows itself and the more severe ones", () => {
  const shown = LOG_LEVELS.map((level) =>
    lines(level, (log) => {
      log.error("e");
      log.warn("w");
      log.info("i");
      log.debug("d");
    }).map((line) => line.split(" ")[1]),
  );
  expect(shown).toEqual([
    [],
    ["ERROR"],
    ["ERROR", "WARN"],
    ["ERROR", "WARN", "INFO"],
    ["ERROR", "WARN", "INFO", "DEBUG"],
    ["ERROR", "WARN", "INFO", "DEBUG"],
  ]);
});

test("values are quoted when they are more than a word", () => {
  const facts = { two: "a b", empty: "", equals: "a=b", quote: 'say "x"', list: [1, 2], none: null, yes: true };
  expect(said("m", facts)).toBe(
    'm two="a b" empty="" equals="a=b" quote="say \\"x\\"" list=[1,2] none=null yes=true\n',
  );
});

test("errors give their message, big integers their digits, and what is undefined is left out", () => {
  expect(said("m", { reason: new Error("it broke"), big: 1n, deep: { big: 2n }, gone: undefined })).toBe(
    'm reason="it broke" big="1" deep={"big":"2"}\n',
  );
});

test("a message cannot control the terminal or start a new line", () => {
  const line = said("one\ntwo\u001b[2J\r", { "k\n": "v\u0007\u009b\u202e", lone: "\ud800" });
  expect(line).toBe('one\\ntwo\\x1b[2J\\r k\\n="v\\u0007\\u009b\\u202e" lone="\\ud800"\n');
});
