import type {
  KernelProgramAnswer,
  LoadAnswer,
  ProgramAnswer,
  ProgramRecordAnswer,
  ReplaceAnswer,
} from "../../domain/answer.ts";
import { kernelWordOf, programTypeTextOfJson } from "../../domain/kernel-words.ts";
import { attachmentOf } from "./attachment.ts";
import { entryOf, renderProgramList } from "./lists.ts";
import { type Fact, type Look, metadataLines, renderFacts } from "./table.ts";

/** Renders a single program in full, several as a list. */
export function renderLoad(answer: LoadAnswer, look: Look): string {
  const [first, ...others] = answer.programs;
  if (first !== undefined && others.length === 0) return renderProgram(first, look);
  return renderProgramList({ programs: answer.programs.map(entryOf) }, look);
}

export function renderReplaced({ replaced }: ReplaceAnswer, look: Look): string {
  const sections = replaced.map((each) =>
    renderFacts(
      "Replaced",
      [
        ["BPF Function:", each.program.record?.load.program_name ?? null],
        ["Old Program ID:", each.old_program_id],
        ["Program ID:", each.program.record?.program_id ?? null],
        ["Links Swapped:", each.swapped_links],
        ["Links Where Both Ran Briefly:", each.overlapped_links],
        ["Maps Kept:", each.kept_maps],
        ["Maps New:", each.new_maps],
      ],
      look,
    ),
  );
  return sections.join("\n");
}

/** Renders bpfman's record and the kernel's state; only the latter for an unmanaged program. */
export function renderProgram(program: ProgramAnswer, look: Look): string {
  const kernel = renderKernelState(program, look);
  return program.record === null ? kernel : `${renderState(program, program.record, look)}\n${kernel}`;
}

function renderState({ status }: ProgramAnswer, record: ProgramRecordAnswer, look: Look): string {
  const { load, handles, meta } = record;
  const image = load.image_source;
  const source: Fact[] =
    image === null
      ? [["Path:", load.source_path ?? load.object_path]]
      : [
          ["Image URL:", image.url],
          ["Pull Policy:", image.pull_policy],
        ];
  const globals = Object.entries(load.global_data).map(
    ([name, base64]) => `${name}=${Buffer.from(base64, "base64").toString("hex").toUpperCase()}`,
  );
  return renderFacts(
    "Bpfman State",
    [
      ["BPF Function:", load.program_name],
      ["Program Type:", load.program_type],
      ...(load.program_type === "freplace" ? ([["Replaces:", load.attach_func]] as Fact[]) : []),
      ...source,
      ["Global:", globals.sort()],
      ...(load.keep ? ([["Kept After Reboot:", true]] as Fact[]) : []),
      ["Metadata:", metadataLines(meta.metadata)],
      ["Map Pin Path:", handles.map_pin_path],
      ["Map Owner ID:", handles.map_owner_id],
      ["Maps Used By:", status.map_used_by],
      [
        "Links:",
        status.links.map((link) => `${link.record.id} (${attachmentOf(link.record, link.status.attachment)})`),
      ],
    ],
    look,
  );
}

function renderKernelState({ record, status: { kernel, stats, twin_of: twin } }: ProgramAnswer, look: Look): string {
  return renderFacts(
    "Kernel State",
    [
      ["Program ID:", kernel?.id ?? null],
      // The kernel truncates names to 15 characters; the record has the full name.
      ["BPF Function:", kernel === null ? null : (record?.load.program_name ?? kernel.name)],
      ["Kernel Type:", kernel === null ? null : kernelType(kernel, record)],
      ...(twin === undefined ? [] : ([["Twin Of Program:", twin]] as Fact[])),
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
      // Null if statistics were never enabled.
      ["Run Count:", stats?.run_count ?? null],
      ["Run Time (ns):", stats?.runtime ?? null],
      ["Recursion Misses:", stats?.recursion_misses ?? null],
    ],
    look,
  );
}

/** To the kernel, XDP and TC programs behind a dispatcher are extensions: show the type they extend. */
function kernelType(kernel: KernelProgramAnswer, record: ProgramRecordAnswer | null): string {
  if (record !== null && kernel.program_type === "extension") return kernelWordOf(record.load.program_type);
  return programTypeTextOfJson(kernel.program_type);
}

/** Converts `2025-07-22T08:16:06.123Z` to `2025-07-22T08:16:06+0000`; null if it is not a time. */
function loadedAt(time: string): string | null {
  const seconds = /^[0-9-]{10}T[0-9:]{8}/.exec(time)?.[0];
  return seconds === undefined ? null : `${seconds}+0000`;
}
