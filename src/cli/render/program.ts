import type { KernelProgramAnswer, LoadAnswer, ProgramAnswer, ProgramRecordAnswer } from "../../domain/answer.ts";
import { kernelWordOf, programTypeTextOfJson } from "../../domain/kernel-words.ts";
import { attachmentOf } from "./attachment.ts";
import { entryOf, renderProgramList } from "./lists.ts";
import { metadataLines } from "./metadata.ts";
import { renderFacts } from "./table.ts";

/** One program in full, several as a list. */
export function renderLoad(answer: LoadAnswer, styled: boolean): string {
  const [first, ...others] = answer.programs;
  if (first !== undefined && others.length === 0) return renderProgram(first, styled);
  return renderProgramList({ programs: answer.programs.map(entryOf) }, styled);
}

/** What bpfman knows and what the kernel says; only the latter for a program that bpfman did not load. */
export function renderProgram(program: ProgramAnswer, styled: boolean): string {
  const kernel = renderKernelState(program, styled);
  return program.record === null ? kernel : `${renderState(program, program.record, styled)}\n${kernel}`;
}

function renderState({ status }: ProgramAnswer, record: ProgramRecordAnswer, styled: boolean): string {
  const { load, handles, meta } = record;
  const source =
    load.image_source === null
      ? ([["Path:", load.source_path ?? load.object_path]] as const)
      : ([
          ["Image URL:", load.image_source.url],
          ["Pull Policy:", load.image_source.pull_policy],
        ] as const);
  const globals = Object.entries(load.global_data).map(
    ([name, base64]) => `${name}=${Buffer.from(base64, "base64").toString("hex").toUpperCase()}`,
  );
  return renderFacts(
    "Bpfman State",
    [
      ["BPF Function:", load.program_name],
      ["Program Type:", load.program_type],
      ...source,
      ["Global:", globals.sort()],
      ["Metadata:", metadataLines(meta.metadata)],
      ["Map Pin Path:", handles.map_pin_path],
      ["Map Owner ID:", handles.map_owner_id],
      ["Maps Used By:", status.map_used_by],
      [
        "Links:",
        status.links.map((link) => `${link.record.id} (${attachmentOf(link.record, link.status.attachment)})`),
      ],
    ],
    styled,
  );
}

function renderKernelState({ record, status: { kernel, stats } }: ProgramAnswer, styled: boolean): string {
  return renderFacts(
    "Kernel State",
    [
      ["Program ID:", kernel?.id ?? null],
      // The kernel keeps 15 characters of the name; the record has all of them.
      ["BPF Function:", kernel === null ? null : (record?.load.program_name ?? kernel.name)],
      ["Kernel Type:", kernel === null ? null : kernelType(kernel, record)],
      ["Loaded At:", kernel === null ? null : loadedAt(kernel.loaded_at)],
      ["Tag:", kernel?.tag ?? null],
      ["GPL Compatible:", kernel?.gpl_compatible ?? null],
      ["Map IDs:", kernel?.has_map_ids ? `[${kernel.map_ids.join(", ")}]` : null],
      ["BTF ID:", kernel?.has_btf_id ? kernel.btf_id : null],
      ["Size Translated (bytes):", kernel?.xlated_size ?? null],
      ["JITted:", kernel === null ? null : kernel.jited_size > 0],
      ["Size JITted:", kernel?.jited_size ?? null],
      ["Kernel Allocated Memory (bytes):", kernel?.has_memlock ? kernel.memlock : null],
      ["Verified Instruction Count:", kernel?.verified_insns ?? null],
      // Null is what nobody counted.
      ["Run Count:", stats?.run_count ?? null],
      ["Run Time (ns):", stats?.runtime ?? null],
      ["Recursion Misses:", stats?.recursion_misses ?? null],
    ],
    styled,
  );
}

/** XDP and TC programs that sit behind a dispatcher are extensions for the kernel: show what they extend. */
function kernelType(kernel: KernelProgramAnswer, record: ProgramRecordAnswer | null): string {
  if (record !== null && kernel.program_type === "extension") return kernelWordOf(record.load.program_type);
  return programTypeTextOfJson(kernel.program_type);
}

/** `2025-07-22T08:16:06.123Z` as `2025-07-22T08:16:06+0000`; null for what is no time. */
function loadedAt(time: string): string | null {
  const seconds = /^[0-9-]{10}T[0-9:]{8}/.exec(time)?.[0];
  return seconds === undefined ? null : `${seconds}+0000`;
}
