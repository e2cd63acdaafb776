/** What the service finds wrong is called as it was typed; JSON-RPC keeps the names of fields. */
import { describe, expect, test } from "bun:test";
import { type Command, type Field, type Group, isGroup, isNoun, type Node } from "../../../src/cli/command.ts";
import { ROOT } from "../../../src/cli/commands.ts";
import { parseRequest } from "../../../src/service/parse-request.ts";
import type { Operation } from "../../../src/service/operation.ts";
import { OPERATIONS, type OperationName } from "../../../src/service/operations.ts";
import type { GenericSchema } from "valibot";
import { type CliRun, cli } from "../../fakes/cli-host.ts";

type Schema = Operation<GenericSchema, unknown>;
const schemas = new Map<string, GenericSchema>();
for (const name of Object.keys(OPERATIONS) as OperationName[]) {
  const module: unknown = await OPERATIONS[name].module();
  schemas.set(name, (module as { readonly implementation: Schema }).implementation.request);
}

/** Against the real schemas. */
const checked = (line: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliRun> =>
  cli(line, {
    env,
    answer: ({ name, request, context }) => {
      parseRequest(schemas.get(name) as GenericSchema, request, context.nameOf);
      return { programs: [], links: [], deleted: [], detached: [] };
    },
  });
const messageOf = ({ err }: CliRun): string => err.slice(0, err.indexOf("\n"));

const LONG = "y".repeat(70_000);
const LOAD = ["load", "file", "-p", "x.o", "--programs", "xdp:a"];

describe("a value that only the service refuses", () => {
  test.each<[line: readonly string[], name: string]>([
    [["image", "pull", "-i", "x", "-p", "Nevr"], "-p"],
    [["image", "pull", "-i", "x", "--pull-policy=Nevr"], "--pull-policy"],
    [["program", "load", "image", "x", "--programs", "xdp:a", "-p", "Nevr"], "-p"],
    [["load", "image", "-i", "", "--programs", "xdp:a"], "-i"],
    [["load", "image", "--image-url", "", "--programs", "xdp:a", "-r", ""], "--image-url"],
    [["load", "image", "-i", "x", "--programs", "xdp:a", "-a", LONG], "-a"],
    [[...LOAD, "--application", LONG], "--application"],
    [[...LOAD, "-m", `${LONG}=1`], "-m"],
    [[...LOAD, "-g", `${LONG}=01`], "-g"],
    [["load", "file", "--path", LONG, "--programs", "xdp:a"], "--path"],
    [["program", "load", LONG, "--programs", "xdp:a"], "<PATH>"],
    [["load", "file", "-p", "x.o", "--programs", `fentry:a:${LONG}`], "--programs"],
    [["attach", "5", "xdp", "-i", LONG, "-p", "5"], "-i"],
    [["link", "attach", "xdp", "5", LONG, "-p", "5"], "<IFACE>"],
    [["attach", "5", "kprobe", "--fn-name", LONG], "--fn-name"],
    [["link", "attach", "kprobe", "5", LONG], "<FN_NAME>"],
    [["image", "build", "-t", "", "-b", "x.o"], "-t"],
    [["image", "build", LONG, "x.o"], "<IMAGE>"],
    [["image", "build", "x", LONG], "<BYTECODE>..."],
    [["image", "build", "x", "--bc-amd64-el", LONG], "--bc-amd64-el"],
    [
      ["image", "verify", "x", "--certificate-identity-regexp", "a", "--certificate-oidc-issuer", LONG],
      "--certificate-oidc-issuer",
    ],
    [["image", "verify", "x", "--key", "a", LONG], "--key"],
  ])("%j", async (line, name) => {
    const run = await checked(line);
    expect(messageOf(run)).toMatch(/^(bpfman: )?error: invalid value for "/);
    expect(messageOf(run)).toContain(`invalid value for "${name}": `);
    const { error } = JSON.parse((await checked([...line, "--error-format", "json"])).err);
    expect(error.details).toEqual({ field: name });
  });

  test("of the environment is called by its variable", async () => {
    const run = await checked(["image", "pull", "-i", "x"], { BPFMAN_REGISTRY_AUTH: LONG });
    expect(messageOf(run)).toStartWith('error: invalid value for "BPFMAN_REGISTRY_AUTH": ');
  });
});

function* leaves(nodes: readonly Node[]): Generator<readonly Node[]> {
  const last = nodes.at(-1) as Node;
  if (isGroup(last)) for (const child of (last as Group).children) yield* leaves([...nodes, child]);
  else yield nodes;
}

describe("every option and word of every command", () => {
  /** A value that its parser takes, and a long one if there is such. */
  const textFor = (field: Field, long: boolean): string => {
    const candidates = [
      ...(long ? [LONG, `a=${LONG}`, `xdp:${LONG}`, `A=${"00".repeat(70_000)}`] : []),
      "x",
      "5",
      "xdp:a",
      "a=b",
      "A=00",
      "1s",
    ];
    const fits = (text: string): boolean => {
      try {
        field.parse(text, "");
        return true;
      } catch {
        return false;
      }
    };
    return [...candidates, ...(field.choices ?? [])].find(fits) ?? "x";
  };
  /** The line that gives this field a long value, and whatever is required besides. */
  const lineFor = (nodes: readonly Node[], command: Command, wrong: Field): string[] => {
    const words = nodes.slice(1).flatMap((node) => {
      const above = isGroup(node) ? (node.args ?? []) : [];
      return [node.name, ...above.map((field) => textFor(field, field === wrong))];
    });
    const flags = command.flags.filter((flag) => flag === wrong || flag.required);
    const last = command.args.findLastIndex((field) => field === wrong || field.required);
    return [
      ...words,
      ...flags.flatMap((flag) => [
        `--${flag.long}`,
        ...(flag.takes === "nothing" ? [] : [textFor(flag, flag === wrong)]),
      ]),
      "--",
      ...command.args.slice(0, last + 1).map((field) => textFor(field, field === wrong)),
    ];
  };

  for (const nodes of leaves([ROOT])) {
    const last = nodes.at(-1) as Exclude<Node, Group>;
    if (["__complete", "man", "completions", "help", "rpc"].includes(last.name)) continue;
    test(nodes.map(({ name }) => name).join(" "), async () => {
      const command = await last.load();
      for (const field of [...command.args, ...command.flags]) {
        const message = messageOf(await checked(lineFor(nodes, command, field)));
        const [, named] = /invalid value for "([^"]*)"/.exec(message) ?? [];
        const word = `<${field.long.toUpperCase().replaceAll("-", "_")}>${field.takes === "list" ? "..." : ""}`;
        if (named !== undefined) expect([isNoun(nodes), word, `--${field.long}`]).toContain(named);
      }
    });
  }
});
