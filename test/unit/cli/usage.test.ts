import { describe, expect, test } from "bun:test";
import { ATTACH_KINDS, PROGRAM_TYPES } from "../../../src/domain/kinds.ts";
import { QUOTED_CHARS_MAX } from "../../../src/domain/limits.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { cli } from "../../fakes/cli-host.ts";

/** A wrong line: exit code 2, message, usage, where help is; nothing is opened. */
async function expectUsage(line: string | string[], message: string, hint: string | null): Promise<void> {
  const run = await cli(line);
  const [first, second, ...rest] = run.err.split("\n");
  expect(first).toBe(`error: ${message}`);
  if (hint === null) expect(second).toBe("");
  else expect(second).toBe(`hint: ${hint}`);
  expect(rest.join("\n")).toMatch(/Usage: bpfman.*\n\ntry "bpfman.* --help"\n$/);
  // What an object holds may be looked up for the error.
  const opened = run.calls.some(({ name }) => name === "complete") ? run.calls.slice(1) : run.connected;
  expect([run.code, run.out, opened]).toEqual([2, "", []]);
}

const LOAD = "load file --programs xdp:a -p x.o";
const XDP_WORDS = "aborted, drop, pass, tx, redirect, dispatcher_return";
const TYPES = PROGRAM_TYPES.join(", ");

const TWO_DASHES = (option: string): string => `an option's long name has two dashes: "${option}"`;

test.each([
  ["a key of digits", ["map", "lookup", "m", "0", "9".repeat(100_000)]],
  ["a key that is nested too deeply", ["map", "lookup", "m", "[".repeat(50_000)]],
  ["an ID", ["unload", "9".repeat(100_000)]],
  ["a duration", ["watch", "--for", `${"9".repeat(50_000)}h`]],
  ["an option", ["watch", `--${"x".repeat(50_000)}`]],
  ["a command", ["x".repeat(50_000)]],
])("%s that is endless is quoted in brief, without words of the engine", async (_, line) => {
  const { code, err } = await cli(line);
  expect({ code, isShort: err.length < 3 * QUOTED_CHARS_MAX }).toEqual({ code: 2, isShort: true });
  expect(err).not.toMatch(/stack|Maximum/);
});

describe("wrong lines", () => {
  const cases: [line: string, message: string, hint: string | null][] = [
    // Commands and options
    ["lod file", 'unknown command "lod" for "bpfman"', 'did you mean "load"?'],
    ["list porgrams", 'unknown command "porgrams" for "bpfman list"', 'did you mean "programs"?'],
    ["get zzz", 'unknown command "zzz" for "bpfman get"', "commands are program, link"],
    ["attach 5 xpd", 'unknown command "xpd" for "bpfman attach"', 'did you mean "xdp"?'],
    ["attach 5", `"bpfman attach" needs a command: ${ATTACH_KINDS.join(", ")}`, null],
    ["help attach tcz", 'unknown command "tcz" for "bpfman attach"', 'did you mean "tc" or "tcx"?'],
    ["help unload now", '"bpfman unload" has no command "now"', null],
    ["--version list", '"--version" takes no command, but got "list"', null],
    ["list programs -V", 'unknown option "-V"', null],
    [`${LOAD} --pth y`, 'unknown option "--pth"', 'did you mean "--path"?'],
    [`${LOAD} --output-format json`, 'unknown option "--output-format"', 'did you mean "--output"?'],
    ["list programs -x", 'unknown option "-x"', null],
    ["list programs -ax", 'unknown option "-x"', null],
    ["load --path x", 'unknown option "--path"', null],
    // Words
    ["list programs now", 'unexpected argument "now"', null],
    ["get program 1 2", 'unexpected argument "2"', null],
    ["load file x.o", 'unexpected argument "x.o"', "is it meant as an option? --path x.o"],
    ["load file xdp:a", 'unexpected argument "xdp:a"', "is it meant as an option? --programs xdp:a"],
    ["load file xdp:a -p x.o", 'unexpected argument "xdp:a"', "is it meant as an option? --programs xdp:a"],
    ["load file -path x.o", 'unexpected argument "x.o"', TWO_DASHES("--path")],
    ["load file -path=x.o", '"bpfman load file" needs --programs <PROGRAMS>...', TWO_DASHES("--path")],
    ["load file -programs xdp:a", 'unexpected argument "xdp:a"', TWO_DASHES("--programs")],
    ["attach 5 xdp -iface lo -priority 5", 'unexpected argument "lo"', TWO_DASHES("--iface")],
    ["list programs -output json", 'unexpected argument "json"', TWO_DASHES("--output")],
    ["load file x.o --programs xdp:a", 'unexpected argument "x.o"', "is it meant as an option? --path x.o"],
    [
      "load file --programs=xdp:a kprobe:b -p x.o",
      'unexpected argument "kprobe:b"',
      'write several values without "=": --programs FIRST SECOND',
    ],
    [
      `${LOAD} -m a=b c=d`,
      'unexpected argument "c=d"',
      "separate several values of --metadata with commas, or repeat it",
    ],
    // Values that are missing, or too many
    ["load file", '"bpfman load file" needs --programs <PROGRAMS>... and --path <PATH>', null],
    ["attach xdp", '"bpfman attach xdp" needs <PROGRAM_ID>, --iface <IFACE> and --priority <PRIORITY>', null],
    ["attach 5 kprobe", '"bpfman attach kprobe" needs --fn-name <FN_NAME>', null],
    ["attach 5 uprobe", '"bpfman attach uprobe" needs --target <TARGET>', null],
    ["unload", '"bpfman unload" needs <PROGRAM_ID>...', null],
    ["load file --programs xdp:a --path", '"--path" needs a value: --path <PATH>', null],
    ["load file --programs xdp:a -p -g A=01", '"-p" needs a value: --path <PATH>', null],
    ["load file --programs --path x.o", '"--programs" needs a value: --programs <PROGRAMS>...', null],
    ["load file --programs -- xdp:a", '"--programs" needs a value: --programs <PROGRAMS>...', null],
    [`${LOAD} --application=`, '"--application" needs a value: --application <APPLICATION>', null],
    [`${LOAD} --path y.o`, '"--path <PATH>" cannot be used multiple times', null],
    ["list programs -a --all", '"--all" cannot be used multiple times', null],
    ["list programs -aa", '"--all" cannot be used multiple times', null],
    ["-o text list programs -o text", '"--output <FORMAT>" cannot be used multiple times', null],
    ["list programs --all=yes", '"--all" takes no value, but got "yes"', null],
    ["list programs -a=yes", '"--all" takes no value, but got "yes"', null],
    // Programs
    ["load file -p x.o --programs y.o", 'invalid program "y.o": it looks like a file; must be NAME or TYPE:NAME', null],
    ["load file -p x.o --programs xpd:a", `invalid program type "xpd": must be one of ${TYPES}`, 'did you mean "xdp"?'],
    [
      "attach 5 xdp -i eth0 -p 5 --xdp-mode native",
      'invalid XDP mode "native": must be one of drv, skb, hw',
      'here, it is called "drv"',
    ],
    [
      "attach 5 xdp -i eth0 -p 5 --xdp-mode SKB",
      'invalid XDP mode "SKB": must be one of drv, skb, hw',
      'did you mean "skb"?',
    ],
    ["load file -p x.o --programs :a", `invalid program type "": must be one of ${TYPES}`, null],
    ["load file -p x.o --programs xdp:", 'invalid program "xdp:": the name is missing; must be xdp:NAME', null],
    [
      "load file -p x.o --programs fexit:f:",
      'invalid program "fexit:f:": the function is missing; must be fexit:NAME[:FUNCTION]',
      null,
    ],
    [
      "load file -p x.o --programs kprobe:f:vfs_read",
      'invalid program "kprobe:f:vfs_read": kprobe takes no function at load; must be kprobe:NAME',
      null,
    ],
    [
      "load file -p x.o --programs fentry:f:g:h",
      'invalid program "fentry:f:g:h": too many parts; must be fentry:NAME[:FUNCTION]',
      null,
    ],
    [
      "load file -p x.o --programs xdp:a,tc:b",
      'invalid program "xdp:a,tc:b": a name cannot contain a comma',
      "separate several programs with spaces",
    ],
    // Globals
    [`${LOAD} -g A`, 'invalid global "A": must be NAME=HEX, as in LIMIT=0A000000', null],
    [`${LOAD} -g =01`, 'invalid global "=01": the name is missing; must be NAME=HEX', null],
    [`${LOAD} -g A=`, 'invalid global "A=": the value is missing; must be NAME=HEX', null],
    [`${LOAD} -g A=0x01`, 'invalid global "A=0x01": hex digits are written without 0x', 'write "A=01"'],
    [`${LOAD} -g A=0g`, 'invalid global "A=0g": "g" is not a hex digit', 'to give a value, type "--set A=VALUE"'],
    [`${LOAD} -g A=01=02`, 'invalid global "A=01=02": "=" is not a hex digit', 'to give a value, type "--set A=VALUE"'],
    [
      `${LOAD} -g A=123`,
      'invalid global "A=123": an odd number of hex digits; each byte takes two',
      'write two digits for each byte of the variable; or to give a value, type "--set A=123"',
    ],
    [`${LOAD} -g A=01 A=02`, 'global "A" is given more than once', null],
    [`${LOAD} --set A`, 'invalid global "A": must be NAME=VALUE, as in LIMIT=10', null],
    [`${LOAD} --set =1`, 'invalid global "=1": must be NAME=VALUE, as in LIMIT=10', null],
    [`${LOAD} --set A=1 A=1`, 'global "A" is given more than once', null],
    // Metadata
    [`${LOAD} -m a`, 'invalid metadata "a": must be KEY=VALUE', null],
    [`${LOAD} -m owner:acme`, 'invalid metadata "owner:acme": must be KEY=VALUE', 'write "owner=acme"'],
    [`${LOAD} -m =a`, 'invalid metadata "=a": must be KEY=VALUE', null],
    [`${LOAD} -m a=b,`, 'invalid metadata "": must be KEY=VALUE', null],
    [`${LOAD} -m a=b -m a=c`, 'metadata key "a" is given twice: "b" and "c"', null],
    [
      `${LOAD} -a one -m bpfman_application=two`,
      'metadata key "bpfman_application" is given twice: "two" and "one"',
      null,
    ],
    ["list links -m a", 'invalid metadata "a": must be KEY=VALUE', null],
    // Numbers
    [
      "get program 0",
      'invalid program id "0": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    [
      "get program -5",
      'invalid program id "-5": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    [
      "get program 1.5",
      'invalid program id "1.5": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    [
      "get program 1e3",
      'invalid program id "1e3": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    [
      "get link 4294967296",
      'invalid link id "4294967296": must be a whole number from 1 to 4294967295',
      'see "bpfman list links"',
    ],
    [
      "unload 1 0x2",
      'invalid program id "0x2": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    ["detach 1 +2", 'invalid link id "+2": must be a whole number from 1 to 4294967295', 'see "bpfman list links"'],
    [
      `${LOAD} --map-owner-id 0x5`,
      'invalid program id "0x5": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    [
      "attach 5x fentry",
      'invalid program id "5x": must be a whole number from 1 to 4294967295',
      'see "bpfman list programs"',
    ],
    ["attach 5 xdp -i e -p 1001", 'invalid priority "1001": must be a whole number from 0 to 1000', null],
    ["attach 5 xdp -i e -p -1", 'invalid priority "-1": must be a whole number from 0 to 1000', null],
    ["attach 5 xdp -i e -p-1", 'invalid priority "-1": must be a whole number from 0 to 1000', null],
    ["attach 5 kprobe -f f -o -1", 'invalid offset "-1": must be a number of bytes, in decimal or as 0x hex', null],
    [
      "attach 5 kprobe -f f -o json",
      'invalid offset "json": must be a number of bytes, in decimal or as 0x hex',
      '-o is the offset here; write "--output json"',
    ],
    [
      "attach 5 uprobe -t t -p 0",
      'invalid pid "0": must be a whole number from 1 to 2147483647',
      "ps shows the PIDs of running processes",
    ],
    [
      "attach 5 uprobe -t t -c x",
      'invalid pid "x": must be a whole number from 1 to 2147483647',
      "ps shows the PIDs of running processes",
    ],
    // Words of a list
    [
      "attach 5 tcx -i e -p 1 -d in",
      'invalid direction "in": must be one of ingress, egress',
      'did you mean "ingress"?',
    ],
    [
      "attach 5 tcx -i e -p 1 -d ingres",
      'invalid direction "ingres": must be one of ingress, egress',
      'did you mean "ingress"?',
    ],
    ["attach 5 xdp -i e -p 1 --proceed-on pipe", `invalid proceed-on "pipe": must be one of ${XDP_WORDS}`, null],
    [
      "attach 5 xdp -i e -p 1 --proceed-on pas",
      `invalid proceed-on "pas": must be one of ${XDP_WORDS}`,
      'did you mean "pass"?',
    ],
    [
      "attach 5 tcx -i e -p 1 -d INGRESS",
      'invalid direction "INGRESS": must be one of ingress, egress',
      'did you mean "ingress"?',
    ],
    [
      "attach 5 xdp -i e -p 1 --proceed-on pass,drop",
      `invalid proceed-on "pass,drop": must be one of ${XDP_WORDS}`,
      "one word is expected, without commas",
    ],
    // Global options
    ["list programs -o yaml", 'invalid output format "yaml": must be one of text, json', null],
    ["version --log-level loud", 'invalid log level "loud": must be one of off, error, warn, info, debug, trace', null],
    ["version --lock-timeout soon", 'invalid duration "soon": must be a number with ms, s, m or h, as in 30s', null],
    ["version --lock-timeout -1", 'invalid duration "-1": must be a number with ms, s, m or h, as in 30s', null],
  ];
  test.each(cases)("%s", expectUsage);
});

test("mistakes of the noun-verb grammar have hints as well", async () => {
  const hintOf = async (line: string) => (await cli(line)).err.split("\n")[1];
  expect(await hintOf("program load file x.o --programs xdp:a tc:b")).toBe(
    "hint: separate several values of --programs with commas, or repeat it",
  );
  expect(await hintOf("dispatcher get tc 1 2")).toBe('hint: did you mean "tc-egress" or "tc-ingress"?');
  expect(await hintOf("program delete 5,6")).toBe("hint: separate several numbers with spaces");
  expect(await hintOf("link get 1x")).toBe('hint: see "bpfman list links"');
});

describe("an empty value", () => {
  const empty = (option: string, usage: string) =>
    [`"${option}" needs a value, but got an empty one: ${usage}`, "is a shell variable empty?"] as const;
  test("of what must be there is rejected, before anything else stands in for it", async () => {
    await expectUsage(["--runtime-dir", "", "list", "programs"], ...empty("--runtime-dir", "--runtime-dir <DIR>"));
    await expectUsage(["attach", "5", "xdp", "-p", "1", "-i", "lo", "-n", ""], ...empty("-n", "--netns <NETNS>"));
  });
  test("is nothing to filter by", async () => {
    expect((await cli(["program", "list", "-l", ""], { answer: () => ({ programs: [] }) })).code).toBe(0);
  });
});

test("the proceed-on words of tc are its own", async () => {
  const { err } = await cli("attach 5 tc -d ingress -i e -p 1 --proceed-on drop");
  expect(err).toContain(
    "must be one of unspec, ok, reclassify, shot, pipe, stolen, queued, repeat, redirect, trap, dispatcher_return\n",
  );
});

test("an unknown program type lists them all", async () => {
  const { err, code } = await cli("list programs -p zzz");
  expect(err).toContain('invalid program type "zzz": must be one of unspec, socket-filter, probe, tc, ');
  expect(err).toContain("syscall, netfilter, tcx, kprobe, kretprobe, uprobe, uretprobe, fentry, fexit, ");
  for (const type of PROGRAM_TYPES) expect(err).toMatch(RegExp(`[ ,]${type}[,\n]`));
  expect(code).toBe(2);
});

test("the usage shown is that of the command that was reached", async () => {
  expect((await cli("attach 5 tcx -x")).err).toEndWith(
    'Usage: bpfman attach <PROGRAM_ID> tcx [OPTIONS] --direction <DIRECTION> --iface <IFACE> --priority <PRIORITY>\n\ntry "bpfman attach tcx --help"\n',
  );
  expect((await cli("detach -x")).err).toEndWith(
    'Usage: bpfman detach [OPTIONS] <LINK_ID>...\n\ntry "bpfman detach --help"\n',
  );
  expect((await cli("list x")).err).toEndWith('Usage: bpfman list [OPTIONS] <COMMAND>\n\ntry "bpfman list --help"\n');
});

test("the codes tell what is wrong", async () => {
  const codeOf = async (line: string): Promise<unknown> => JSON.parse((await cli(`${line} -o json`)).err).error.code;
  expect(await codeOf("load file -p x.o --programs xdp:")).toBe("INVALID_PROGRAM");
  expect(await codeOf("load file -p x.o --programs zz:a")).toBe("INVALID_PROGRAM");
  expect(await codeOf(`${LOAD} -g A`)).toBe("INVALID_GLOBAL");
  expect(await codeOf(`${LOAD} -m A`)).toBe("INVALID_METADATA");
  expect(await codeOf("attach 5 xdp -i e -p x")).toBe("INVALID_PRIORITY");
  expect(await codeOf("attach 5 tcx -i e -p 1 -d x")).toBe("INVALID_ATTACH");
  expect(await codeOf("attach 5 tcx --bogus")).toBe("USAGE");
});

test("keys that JavaScript objects treat specially are plain keys", async () => {
  const run = await cli("load file --programs xdp:a -p x.o -m __proto__=1,constructor=2 -g toString=01", {
    answer: () => ({ programs: [] }),
  });
  const request = run.calls[0]?.request as { metadata: object; globalData: object };
  expect(Object.entries(request.metadata)).toEqual([
    ["__proto__", "1"],
    ["constructor", "2"],
  ]);
  expect(Object.entries(request.globalData)).toEqual([["toString", "01"]]);
});

describe("a load that names an object and no program", () => {
  const values = ["tc:count", "tcx:count", "xdp:pass"].map((value) => ({ value, description: "" }));
  const hintOf = async (line: string, answer: () => unknown) => {
    const run = await cli(line, { answer });
    const seen = run.calls.map(({ name, request }) => [name, (request as { readonly file: string }).file]);
    return { code: run.code, seen, hint: /^hint: (.*)$/m.exec(run.err)?.[1] ?? null };
  };
  const seen = [["complete", "x.o"]];

  test("is told which it has", async () => {
    const hint = '"x.o" holds tc:count, tcx:count, xdp:pass';
    for (const line of ["load file --path x.o", "load file -p=x.o -g A=01", "load file --runtime-dir /r -px.o"]) {
      expect(await hintOf(line, () => ({ values }))).toEqual({ code: 2, seen, hint });
    }
    for (const line of ["program load x.o", "program load file x.o -a b"]) {
      expect(await hintOf(line, () => ({ values }))).toEqual({ code: 1, seen, hint });
    }
    const many = Array.from({ length: 50 }, (_, at) => ({ value: `xdp:p${at}`, description: "" }));
    expect((await hintOf("program load x.o", () => ({ values: many }))).hint).toEndWith("xdp:p39, and 10 more");
    expect((await hintOf("program load x.o", () => ({ values: [] }))).hint).toContain("holds no program");
  });
  test("is told the same when it leaves the name out", async () => {
    const hint = '"x.o" holds tc:count, tcx:count, xdp:pass';
    expect(await hintOf("load file -p x.o --programs xdp:", () => ({ values }))).toEqual({ code: 2, seen, hint });
    expect(await hintOf("program load x.o --programs xdp:", () => ({ values }))).toEqual({ code: 1, seen, hint });
    // What is said already stays.
    expect((await hintOf("load file -p x.o --programs xpd:count", () => ({ values }))).hint).toContain('"xdp"');
  });
  test("is told what is wrong with the object", async () => {
    const wrong = () => {
      throw new BpfmanError("FILE_NOT_FOUND", 'read "x.o": the file does not exist');
    };
    expect((await hintOf("load file -p x.o", wrong)).hint).toBe('read "x.o": the file does not exist');
  });
  test("is told nothing when nothing can be asked", async () => {
    expect((await hintOf("load file -p x.o", () => null)).hint).toBe(null);
    expect((await hintOf("load file", () => ({ values }))).seen).toEqual([]);
    expect((await hintOf("load image -i x", () => ({ values }))).seen).toEqual([]);
    expect((await hintOf("get program", () => ({ values }))).seen).toEqual([]);
  });
});
