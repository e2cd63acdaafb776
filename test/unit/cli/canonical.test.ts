/** What the two dialects of a command line become before cleye reads it. */
import { describe, expect, spyOn, test } from "bun:test";
import { type Field, optional, several, toggle } from "../../../src/cli/command.ts";
import { cli } from "../../fakes/cli-host.ts";
import { canonicalWord, looksLikeFlag, type Option, takeOption } from "../../../src/cli/parse/canonical.ts";

const FIELDS: readonly Field[] = [
  several({ takes: "list", long: "programs", doc: [] }),
  several({ takes: "commas", long: "metadata", short: "m", doc: [] }),
  optional({ long: "path", short: "p", aliases: ["file"], doc: [] }),
  optional({ long: "kind", short: "k", choices: ["xdp", "tc"], anyCase: true, doc: [] }),
  toggle({ long: "all", short: "a", doc: [] }),
  toggle({ long: "quiet", short: "q", doc: [] }),
];

/** The canonical line: options, `--`, words. What is not known or has no value is shown as it was written. */
function canonical(args: readonly string[], noun: boolean): string[] {
  const tokens = { all: args, next: 0, literal: false };
  const options: Option[] = [];
  const words: string[] = [];
  while (tokens.next < args.length) {
    const token = args[tokens.next] ?? "";
    if (looksLikeFlag(token)) takeOption(tokens, { known: FIELDS, noun }, options);
    else words.push(args[tokens.next++] ?? "");
  }
  const shown = options.map((option) =>
    option.field === null || (option.value === null && option.field.takes !== "nothing")
      ? `?${option.written}`
      : canonicalWord(option),
  );
  return [...shown, "--", ...words];
}

describe("as clap has it", () => {
  test.each<[line: string, wanted: string]>([
    ["--programs a b -p x", "--programs=a --programs=b --path=x --"],
    ["--programs a --programs=b c", "--programs=a --programs=b -- c"],
    ["-px -p=x -p x --path=x --file x", "--path=x --path=x --path=x --path=x --path=x --"],
    ["-aqp5 -p -5 -7", "--all --quiet --path=5 --path=-5 -- -7"],
    ["-a=yes --all=no", "--all=yes --all=no --"],
    ["-m a=1,b=2 -mc=3 d", "--metadata=a=1 --metadata=b=2 --metadata=c=3 -- d"],
    ["-m a=1,", "--metadata=a=1 --metadata= --"],
    ["--kind XDP", "--kind=XDP --"],
    ["--path -a --programs", "?--path --all ?--programs --"],
    ["--pth=x -x -ax", "?--pth ?-x --all ?-x --"],
    ["a - b", "-- a - b"],
  ])("%s", (line, wanted) => expect(canonical(line.split(" "), false).join(" ")).toBe(wanted));
});

describe("as kong has it", () => {
  test.each<[line: readonly string[], wanted: string]>([
    [["-p", "x", "--file", "y"], "--path=y --"],
    [["-p", "x", "--path", ""], "--"],
    [["-a", "--all=false", "-q=1"], "--quiet --"],
    [["--all=false", "-a"], "--all --"],
    [["--all=maybe"], "--all=maybe --"],
    [["-m", "a=1\\,2,b=3,", "--metadata="], "--metadata=a=1,2 --metadata=b=3 --"],
    [["--kind", " Xdp "], "--kind=xdp --"],
    [["--programs", "a", "b"], "--programs=a --programs=b --"],
    [["--path", "-a"], "?--path --all --"],
  ])("%j", (line, wanted) => expect(canonical(line, true).join(" ")).toBe(wanted));
});

test("cleye itself neither prints nor ends the process", async () => {
  const spies = [
    spyOn(process, "exit").mockImplementation((() => {}) as never),
    ...(["log", "error", "warn", "info"] as const).map((name) => spyOn(console, name).mockImplementation(() => {})),
  ];
  try {
    for (const line of [
      "get program",
      "get program 1 2",
      "get program --help 1",
      "get program 1 --version",
      "get program 1 --no-color --no-output",
      "get program -- --help --version",
      "get program 1 --runtimeDir /x",
      "list programs --program-type",
      "list programs -a --no-all",
      "load file -p x.o --programs xdp:a -m __proto__=1",
      "unload 1 -- -2 --x",
    ]) {
      await cli(line, { answer: () => ({ programs: [] }) });
      expect([line, ...spies.map((spy) => spy.mock.calls.length)]).toEqual([line, 0, 0, 0, 0, 0]);
    }
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
});

test("options are known by the names that help shows, and by no other that cleye would take", async () => {
  for (const option of ["--runtimeDir", "--no-no-color", "--runtime.dir", "--runtime-dir:/x"]) {
    expect((await cli(["version", option, "x"])).err).toStartWith(`error: unknown option "${option}"`);
  }
});
