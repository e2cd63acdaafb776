/** `check` and `inspect` as users call them. test/kernel/check.test.ts has the refusals. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { CheckAnswer, SavedCosts } from "../../src/domain/check-answer.ts";
import type { ObjectInspectAnswer } from "../../src/domain/inspect-answer.ts";
import { sarifErrors } from "../expect/sarif.ts";
import { executable } from "../labs/executable.ts";
import { compileBpf } from "../objects/compile.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const object = (name: string): string => join(ROOT, `dist/bpf/fixtures/${name}.bpf.o`);
const bpfman = executable();

describe("costs", () => {
  const counter = object("life");

  test("are those that the kernel reports, and nothing stays loaded", async () => {
    const { files, passed, kernel } = await bpfman.json<CheckAnswer>("check", counter);
    expect({ passed, kernel }).toEqual({ passed: true, kernel: release() });
    // Without a pin, nothing outlives the process.
    expect(readdirSync(bpfman.runtimeDir)).toEqual([]);
    expect(existsSync("/sys/fs/bpf/packets_of_all")).toBe(false);
    const [file] = files;
    const [there] = await bpfman.load(counter, "--programs", "tc:count");
    const count = file?.programs.find(({ name }) => name === "count");
    expect(count).toMatchObject({ type: "tc", verdict: "accepted", baseline: null });
    expect(count?.cost?.verified_instructions).toBe(there?.status.kernel?.verified_insns as number);
    expect(count?.cost?.jited_bytes).toBe(there?.status.kernel?.jited_size as number);
    expect(count?.cost).toMatchObject({ stack_bytes: expect.any(Number), verification_time_us: expect.any(Number) });
  });

  test("are saved and compared, within the tolerance", async () => {
    const saved = bpfman.path("costs.json");
    await bpfman.ok("check", counter, "--save", saved);
    expect(await bpfman.ok("check", counter, "--baseline", saved)).toContain(" 0 % ");
    const costs: SavedCosts = JSON.parse(readFileSync(saved, "utf8"));
    const lower = (percent: number) =>
      writeFileSync(
        saved,
        JSON.stringify({
          ...costs,
          programs: costs.programs.map((each) => ({
            ...each,
            file: `elsewhere/${each.file.split("/").at(-1)}`,
            cost: each.cost && {
              ...each.cost,
              verified_instructions: Math.ceil((each.cost.verified_instructions * 100) / (100 + percent)),
            },
          })),
        }),
      );
    lower(100);
    const worse = await bpfman.run("check", counter, "--baseline", saved);
    expect(worse).toMatchObject({ code: 10, error: "" });
    expect(worse.out).toContain("dearer");
    expect(await bpfman.run("check", counter, "--baseline", saved, "--tolerance", "150%")).toMatchObject({ code: 0 });
    const { out } = await bpfman.run("check", counter, "--baseline", saved, "-o", "github");
    expect(out).toMatch(
      /^::error file=\S+,title=count%3A COST_ROSE::count costs \d+ instructions, \d+(\.\d+)? %25 more than \d+ in /m,
    );
  });
});

describe("programs of one object that are verified together", () => {
  const program = (name: string, rounds: number, bad = false): string =>
    `SEC("tc") int ${name}(struct __sk_buff *skb) {
      int sum = 0;
      for (int i = 0; i < ${rounds}; i++) sum += bpf_get_prandom_u32();
      return ${bad ? "*(int *)(long)sum" : "sum"};
    }`;
  const source = (programs: readonly string[]): string =>
    ["#include <linux/bpf.h>", "#include <bpf/bpf_helpers.h>", ...programs].join("\n");
  /** More than one batch, of different costs. */
  const NAMES = Array.from({ length: 40 }, (_, at) => `each_${at + 1}`);
  const written = (bad: readonly string[]): string => {
    const path = bpfman.path("many.o");
    const text = source(NAMES.map((name, at) => program(name, at + 1, bad.includes(name))));
    writeFileSync(path, compileBpf(text));
    return path;
  };
  const verdicts = async (...words: readonly string[]) => {
    const { out } = await bpfman.run("check", ...words, "-o", "json");
    const [file] = (JSON.parse(out) as CheckAnswer).files;
    return (file?.programs ?? []).map(({ name, verdict, cost, refusal }) => ({
      ...{ name, verdict, instructions: cost?.verified_instructions },
      ...{ stack: cost?.stack_bytes, jited: cost?.jited_bytes, refusal: refusal?.reason },
    }));
  };

  test("cost what each costs that is verified alone", async () => {
    const path = written([]);
    const together = await verdicts(path);
    expect(together.map(({ name }) => name)).toEqual(NAMES);
    expect(new Set(together.map(({ instructions }) => instructions)).size).toBe(NAMES.length);
    for (const each of [0, 17, 39].flatMap((at) => together[at] ?? []))
      expect(await verdicts(path, "--programs", `tc:${each.name}`)).toEqual([each]);
  });

  test.each([
    ["the first", ["each_1"]],
    ["one in the middle", ["each_12"]],
    ["two far apart", ["each_9", "each_40"]],
    ["all", NAMES],
  ])("one that is refused leaves the verdicts of others as they are: %s", async (_, bad) => {
    const good = await verdicts(written([]));
    const found = await verdicts(written(bad));
    expect(found.filter(({ verdict }) => verdict === "refused").map(({ name }) => name)).toEqual([...bad]);
    for (const { verdict, refusal } of found)
      if (verdict === "refused") expect(refusal).toMatch(/^R\d invalid mem access 'scalar'$/);
    const isGood = ({ name }: { readonly name: string }) => !bad.includes(name);
    expect(found.filter(isGood)).toEqual(good.filter(isGood));
  });
});

describe("sources", () => {
  test("are checked with the flags that a database has for them, and with no others", async () => {
    const directory = bpfman.path("project");
    mkdirSync(join(directory, "include"), { recursive: true });
    const evil = join(directory, "evil");
    writeFileSync(evil, `#!/bin/sh\ntouch ${directory}/ran\n`);
    chmodSync(evil, 0o755);
    writeFileSync(join(directory, "options"), "-DANSWER=1\n");
    writeFileSync(join(directory, "include/answer.h"), "#define RESULT ANSWER\n");
    const source = join(directory, "pass.bpf.c");
    writeFileSync(
      source,
      `#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n#include <answer.h>\nSEC("xdp") int pass(void *ctx) { return RESULT; }\n`,
    );
    const flags = [
      "-Iinclude",
      "-DANSWER=2",
      "-B",
      directory,
      "-Xclang",
      "-load",
      "-Xclang",
      evil,
      `-fplugin=${evil}`,
      "@options",
    ];
    const entry = {
      directory,
      file: "pass.bpf.c",
      arguments: [evil, ...flags, "-o", `${directory}/written`, "pass.bpf.c"],
    };
    writeFileSync(join(directory, "compile_commands.json"), JSON.stringify([entry]));
    expect(await bpfman.ok("check", source)).toContain(" accepted ");
    writeFileSync(
      join(directory, "compile_commands.json"),
      JSON.stringify([{ ...entry, arguments: undefined, command: "cc -Iinclude '-DANSWER=1 + 1'" }]),
    );
    expect(await bpfman.ok("check", source)).toContain(" accepted ");
    expect(readdirSync(directory).sort()).toEqual([
      "compile_commands.json",
      "evil",
      "include",
      "options",
      "pass.bpf.c",
    ]);
    writeFileSync(join(directory, "compile_commands.json"), "{}");
    await bpfman.refused(1, "COMPILATION_DATABASE_INVALID", "check", source);
  });

  test("are compiled as the user who called sudo", async () => {
    const source = bpfman.path("secret.bpf.c");
    writeFileSync(source, "int nothing;\n");
    chmodSync(source, 0o600);
    bpfman.env.SUDO_UID = "65534";
    bpfman.env.SUDO_GID = "65534";
    const { code, out } = await bpfman.run("check", source, "-o", "json");
    const [file] = (JSON.parse(out) as CheckAnswer).files;
    expect(code).toBe(10);
    expect(file?.diagnostics[0]?.message).toMatch(/Permission denied|no such file|cannot open/i);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("bpfman-check-"))).toEqual([]);
  });

  test.each(["text", "json", "github", "sarif"])("that do not compile name the line, as %s", async (format) => {
    const source = bpfman.path("bad.bpf.c");
    writeFileSync(source, "int fine;\n\nint bad = missing, x;\n");
    const { code, out, error } = await bpfman.run("check", source, "-o", format);
    expect({ code, error }).toEqual({ code: 10, error: "" });
    expect(out).toContain("use of undeclared identifier 'missing'");
    if (format === "text") expect(out).toContain(`${source}:3:11: error: `);
    if (format === "github") expect(out).toContain(`::error file=${source},line=3,col=11,title=COMPILE_FAILED::`);
    if (format === "json")
      expect((JSON.parse(out) as CheckAnswer).files[0]?.diagnostics[0]).toMatchObject({ line: 3, column: 11 });
    if (format === "sarif") {
      expect(sarifErrors(JSON.parse(out))).toBeNull();
    }
  });
});

describe("mistakes give one error, and print nothing", () => {
  const LIFE = object("life");
  test.each([
    ["a file that is not there", 3, "FILE_NOT_FOUND", ["no-such.o"]],
    ["a directory", 1, "FILE_UNREADABLE", [ROOT]],
    ["a file that is neither", 1, "INVALID_OBJECT", ["package.json"]],
    ["a baseline that is none", 1, "INVALID_BASELINE", [LIFE, "--baseline", "package.json"]],
    ["a baseline that is no JSON", 1, "INVALID_BASELINE", [LIFE, "--baseline", "README.md"]],
    ["a program that is not there", 1, "FUNCTION_NOT_FOUND", [LIFE, "--programs", "cuont"]],
    ["a variable that is not there", 1, "GLOBAL_NOT_FOUND", [LIFE, "-g", "LIMTI=00000000"]],
    ["a variable of another size", 1, "INVALID_GLOBAL", [LIFE, "-g", "LIMIT=00"]],
    ["a place where nothing can be saved", 1, "IO_FAILED", [LIFE, "--save", "/proc/costs.json"]],
  ] as const)("%s", async (_, exitCode, code, words) => {
    await bpfman.refused(exitCode, code, "check", ...words);
  });

  test("what is wrong with a baseline is said in words of ours", async () => {
    const path = bpfman.path("baseline.json");
    for (const [text, said] of [
      ["{}", 'field "version" is missing'],
      ["[]", 'field "version" is missing'],
      ["7", "the whole"],
      ['{"version":1,"kernel":1,"programs":[]}', 'invalid value for "kernel": must be text'],
      ['{"version":1,"kernel":"6.1","programs":[{"file":"x","program":"y","cost":{}}]}', "verified_instructions"],
    ] as const) {
      writeFileSync(path, text);
      const { message } = await bpfman.refused(1, "INVALID_BASELINE", "check", LIFE, "--baseline", path);
      expect(message).toStartWith(`read baseline "${path}": it has no costs of bpfman check: `);
      expect(message).toContain(said);
      expect(message).not.toMatch(/Expected|Invalid|received/);
    }
  });

  test("an object without programs", async () => {
    const source = bpfman.path("empty.c");
    writeFileSync(source, "int x = 1;\n");
    const { hint } = await bpfman.refused(1, "FUNCTION_NOT_FOUND", "check", source);
    expect(hint).toContain("SEC(");
  });

  test("errors of formats for machines are text", async () => {
    const { code, out, error } = await bpfman.run("check", "no-such.o", "-o", "sarif");
    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(error).toStartWith("error: read ");
  });
});

test("programs that take a type or a function from the command line", async () => {
  const { files } = await bpfman.json<CheckAnswer>(
    "check",
    object("sections"),
    "--programs",
    "custom_section",
    "tcx_named",
  );
  expect(files[0]?.programs.map(({ name, verdict }) => [name, verdict])).toContainEqual(["custom_section", "skipped"]);
  const { files: typed } = await bpfman.json<CheckAnswer>(
    "check",
    object("sections"),
    "--programs",
    "tc:custom_section",
  );
  expect(typed[0]?.programs).toMatchObject([{ name: "custom_section", type: "tc", verdict: "accepted" }]);
});

describe("inspect", () => {
  test("shows an object without root", async () => {
    const [command = "", ...words] = bpfman.command("inspect", object("life"), "-o", "json");
    const child = Bun.spawnSync(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", command, ...words], {
      env: { PATH: "/usr/bin" },
    });
    expect({ code: child.exitCode, error: child.stderr.toString() }).toEqual({ code: 0, error: "" });
    const answer: ObjectInspectAnswer = JSON.parse(child.stdout.toString());
    expect(answer.programs).toContainEqual({ name: "count", section: "tc", type: "tc", target: null, load_as: "tc" });
    expect(answer.maps).toContainEqual(
      expect.objectContaining({
        name: "packets_of_all",
        type: "array",
        key_type: "__u32",
        value_type: "__u64",
        pinning: "by_name",
      }),
    );
    expect(answer.globals).toContainEqual({ name: "LIMIT", section: ".rodata", size: 4, type: "__u32", value: 3 });
  });

  test("prints the types that load takes", async () => {
    expect(await bpfman.ok("inspect", object("cgroup"))).toMatch(/on_connect4 +cgroup_sock_addr +cgroup\/connect4/);
  });

  test("reads whatever else there is", async () => {
    for (const name of readdirSync(join(ROOT, "dist/bpf/fixtures")).filter((each) => each.endsWith(".o"))) {
      const path = join(ROOT, "dist/bpf/fixtures", name);
      const { programs } = await bpfman.json<ObjectInspectAnswer>("inspect", path);
      expect({ name, programs: programs.length > 0 }).toEqual({ name, programs: true });
    }
    expect(existsSync(join(bpfman.runtimeDir, "fs"))).toBe(false);
  });

  test.each([
    ["no-such.o", 3, "FILE_NOT_FOUND"],
    ["package.json", 1, "INVALID_OBJECT"],
    ["127.0.0.1:1/x/y:z", 1, "REGISTRY_UNREACHABLE"],
  ] as const)("%s is no object", async (name, exitCode, code) => {
    await bpfman.refused(exitCode, code, "inspect", name);
  });
});
