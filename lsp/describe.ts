/** What is known about a program or a map, in Markdown for a hover, and in a few words for a lens. */
import type { ProgramAnswer } from "../src/domain/answer.ts";
import type { CheckedProgramAnswer, CostAnswer } from "../src/domain/check-answer.ts";
import type { InspectedMapAnswer } from "../src/domain/inspect-answer.ts";
import type { RunsAnswer } from "../src/domain/stats-answer.ts";
import type { Checked } from "./checker.ts";
import type { Declared } from "./source-text.ts";

const number = (value: number): string => value.toLocaleString("en-US");

/** Names come from the source, so they are shown as code. */
const code = (text: string): string => `\`${text.replaceAll("`", "'")}\``;

function changeOf(now: number, before: number | undefined): string {
  if (before === undefined) return "";
  if (before === now) return " (as before the last save)";
  const difference = now - before;
  return ` (${difference > 0 ? "+" : "−"}${number(Math.abs(difference))} since the last save)`;
}

function costLines(cost: CostAnswer, before: number | undefined): string[] {
  const { verified_instructions: instructions, total_states: states, peak_states: peak } = cost;
  const { stack_bytes: stack, verification_time_us: time, jited_bytes: jited } = cost;
  return [
    `- instructions: ${number(instructions)}${changeOf(instructions, before)}`,
    `- states: ${number(states)}, at most ${number(peak)} at a time`,
    ...(stack === null ? [] : [`- stack: ${number(stack)} bytes`]),
    ...(time === null ? [] : [`- time: ${number(time)} µs`]),
    ...(jited === 0 ? [] : [`- machine code: ${number(jited)} bytes`]),
  ];
}

/** What the kernel says about a program; why it says nothing. */
function verdictLines(program: CheckedProgramAnswer | null, checked: Checked): string[] {
  if (program === null) return ["Not checked by the kernel."];
  const { kernel = "" } = checked.answer ?? {};
  const { verdict, cost, refusal, reason } = program;
  if (verdict === "accepted" && cost !== null) {
    return [`Accepted by Linux ${kernel}:`, "", ...costLines(cost, checked.before.get(program.name))];
  }
  if (verdict === "refused" && refusal !== null) return [`Refused by Linux ${kernel}: ${code(refusal.reason)}`];
  return [`Not checked: ${reason}.`];
}

function loadedLine({ program: { record, status }, runs }: Loaded): string {
  const { program_id: id = 0 } = record ?? {};
  const { stats, links } = status;
  const { runs_per_second: perSecond = null, ns_per_run: ns = null } = runs ?? {};
  const said = [
    ...(stats === null ? [] : [`${number(stats.run_count)} runs`]),
    ...(perSecond === null ? [] : [`${number(perSecond)} runs a second now`]),
    ...(ns === null ? [] : [`${number(ns)} ns each`]),
  ];
  const attached = links.length === 1 ? "one link" : `${links.length} links`;
  return `- program ${id}, with ${attached}${said.length === 0 ? "" : `: ${said.join(", ")}`}`;
}

/** A program that is loaded, and what it did lately. */
export interface Loaded {
  readonly program: ProgramAnswer;
  /** Null if that could not be counted. */
  readonly runs: RunsAnswer | null;
}

export interface Subject {
  readonly declared: Declared;
  readonly checked: Checked | null;
  readonly program: CheckedProgramAnswer | null;
  /** Programs of that name that are loaded. */
  readonly loaded: readonly Loaded[];
}

export function programHover({ declared, checked, program, loaded }: Subject): string {
  const { name, detail } = declared;
  const type = checked?.inspected.programs.find((each) => each.name === name)?.type ?? program?.type ?? null;
  return [
    `**${code(name)}**: eBPF program${type === null ? "" : ` of type ${code(type)}`}, section ${code(detail)}`,
    "",
    ...(checked === null ? ["Not compiled yet, or there are errors in it."] : verdictLines(program, checked)),
    ...(loaded.length === 0 ? [] : ["", "Loaded:", "", ...loaded.map(loadedLine)]),
  ].join("\n");
}

export function mapHover({ name, detail }: Declared, map: InspectedMapAnswer | null): string {
  if (map === null) return `**${code(name)}**: eBPF map${detail === "" ? "" : ` of type ${code(detail)}`}`;
  const { type, key_size, value_size, key_type, value_type, max_entries, pinning } = map;
  const sized = (what: string, words: string | null, size: number | null): string[] =>
    size === null && words === null
      ? []
      : [
          `- ${what}: ${[words === null ? null : code(words), size === null ? null : `${number(size)} bytes`].filter((each) => each !== null).join(", ")}`,
        ];
  return [
    `**${code(name)}**: eBPF map of type ${code(type)}`,
    "",
    ...sized("key", key_type, key_size),
    ...sized("value", value_type, value_size),
    ...(max_entries === null ? [] : [`- entries: ${max_entries === 0 ? "as the loader says" : number(max_entries)}`]),
    ...(pinning === "none" ? [] : ["- pinned by its name"]),
  ].join("\n");
}

/** `123 instructions`, or what else is known. */
export function lensTitle(program: CheckedProgramAnswer | null): string {
  if (program === null) return "Check";
  if (program.verdict === "refused") return "refused";
  if (program.cost === null) return "not checked";
  const { verified_instructions: instructions } = program.cost;
  return instructions === 1 ? "1 instruction" : `${number(instructions)} instructions`;
}
