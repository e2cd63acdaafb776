import type { ProgramListAnswer, ProgramListEntry } from "../../domain/answer.ts";
import { programId } from "../../domain/ids.ts";
import { programTypeText } from "../../domain/kernel-words.ts";
import { APPLICATION_KEY } from "../../domain/program.ts";
import { kernelProgramAnswer, programRecordAnswer } from "../../inspect/program.ts";
import type { Host } from "../../platform/host.ts";
import { hasApplication, hasMetadata, isOfKernelType, isOfType, requireTypeWord } from "../filter.ts";
import { operation } from "../operation.ts";
import { type ListProgramsRequest, listProgramsRequest } from "../requests/programs.ts";

/** The rows of the table; in the full view each with its record and with what the kernel says of it. */
function managed(host: Host, request: ListProgramsRequest): ProgramListEntry[] {
  const wanted = host.store
    .programSummaries()
    .filter(({ type }) => isOfType(type, request.programType))
    .filter(({ metadata }) => hasApplication(metadata, request.application))
    .filter(({ metadata }) => hasMetadata(metadata, request.metadataSelector));
  const entries = wanted.map(({ id, name, type, metadata, links }) => ({
    program_id: id,
    managed: true,
    application: metadata[APPLICATION_KEY] ?? null,
    type,
    function_name: name,
    links,
    record: null,
    kernel: null,
  }));
  if (request.view === "summary") return entries;
  const records = new Map(host.store.programs().map((record) => [record.id as number, record]));
  return entries.map((entry) => {
    const record = records.get(entry.program_id);
    const kernel = host.kernel.program(programId(entry.program_id));
    return {
      ...entry,
      record: record === undefined ? null : programRecordAnswer(record),
      kernel: kernel && kernelProgramAnswer(kernel),
    };
  });
}

/** Programs that only the kernel knows; they have neither application nor metadata. */
function foreign(host: Host, request: ListProgramsRequest): ProgramListEntry[] {
  if (request.application !== null || Object.keys(request.metadataSelector).length > 0) return [];
  const ours = new Set(host.store.programSummaries().map((program) => program.id));
  const entries: ProgramListEntry[] = [];
  for (const id of host.kernel.programIds()) {
    if (ours.has(id)) continue;
    const kernel = host.kernel.program(id);
    if (kernel === null || !isOfKernelType(kernel.type, request.programType)) continue;
    entries.push({
      program_id: id,
      managed: false,
      application: null,
      type: programTypeText(kernel.type),
      function_name: kernel.name,
      links: [],
      record: null,
      kernel: request.view === "full" ? kernelProgramAnswer(kernel) : null,
    });
  }
  return entries;
}

function listPrograms(host: Host, request: ListProgramsRequest): ProgramListAnswer {
  requireTypeWord(request.programType);
  const programs = managed(host, request);
  if (request.all) programs.push(...foreign(host, request));
  return { programs: programs.sort((a, b) => a.program_id - b.program_id) };
}

export const implementation = operation({ request: listProgramsRequest, run: listPrograms });
