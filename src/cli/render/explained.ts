/** Texts that only long help and manual pages show, loaded for those. */
import { type Command, type Example, examplesIn, isGroup, type Node, shownBelow } from "../command.ts";

/** What bpfman does, in general. */
export const ABOUT: readonly string[] = [
  "bpfman loads eBPF programs, attaches them to hooks, lets several of them share",
  "a hook, and keeps a record. It needs no daemon: each command does its work and",
  "exits, and the kernel keeps programs loaded and attached until they are unloaded",
  "or the machine reboots.",
  "",
  "A loaded program has an ID, with which it is attached. Attaching creates a link,",
  "which has its own ID, with which it is detached. The lists show both.",
  "",
  "Commands come in two grammars: the classic one (load, attach, list, get, detach,",
  "unload) and the noun-verb one (program, link, dispatcher). Most need root.",
];

/** Command lines with the same effect, with one description. */
export interface ShownExample {
  readonly does: string;
  readonly lines: readonly string[];
}

/** Returns the examples of a command. A group without its own has the first of each of its commands. */
export async function examplesOf(node: Node, command: Command | null): Promise<readonly ShownExample[]> {
  const found = new Map<string, string[]>();
  for (const { does, line } of await allExamples(node, command)) found.set(does, [...(found.get(does) ?? []), line]);
  return [...found].map(([does, lines]) => ({ does, lines }));
}

async function allExamples(node: Node, command: Command | null): Promise<readonly Example[]> {
  if (command !== null) return command.examples;
  if (!isGroup(node)) return (await node.load()).examples;
  if (node.examples !== undefined) return examplesIn(node.examples);
  const found = await Promise.all(shownBelow(node).map((child) => allExamples(child, null)));
  return found.flatMap((examples) => examples.slice(0, 1));
}
