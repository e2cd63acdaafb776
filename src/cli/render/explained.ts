/** What long help and manual pages say beyond the command table; fetched by them alone. */
import { type Command, type Example, isGroup, type Node, shownBelow } from "../command.ts";

/** What everything that bpfman does is about. */
export const ABOUT: readonly string[] = [
  "bpfman loads eBPF programs, attaches them to hooks, lets several of them share a hook, and",
  "remembers what it did. There is no daemon: each command does its work and ends, and the",
  "kernel keeps what is loaded and attached until it is unloaded, or until the next boot.",
  "",
  "A program that was loaded has an id, which attaching it takes. What was attached is a link,",
  "which has an id of its own, for detaching it. The lists show both.",
  "",
  "There are two grammars for the same: the classic one (load, attach, list, get, detach,",
  "unload), and the noun-verb one (program, link, dispatcher). Most commands need root.",
];

/** What does the same, said once. */
export interface ShownExample {
  readonly does: string;
  readonly lines: readonly string[];
}

/** What a command is shown with: for a group without examples of its own, the first one of each of its commands. */
export async function examplesOf(node: Node, command: Command | null): Promise<readonly ShownExample[]> {
  const found = new Map<string, string[]>();
  for (const { does, line } of await allExamples(node, command)) found.set(does, [...(found.get(does) ?? []), line]);
  return [...found].map(([does, lines]) => ({ does, lines }));
}

async function allExamples(node: Node, command: Command | null): Promise<readonly Example[]> {
  if (command !== null) return command.examples;
  if (!isGroup(node)) return (await node.load()).examples;
  if (node.examples !== undefined) return node.examples;
  const found = await Promise.all(shownBelow(node).map((child) => allExamples(child, null)));
  return found.flatMap((examples) => examples.slice(0, 1));
}
