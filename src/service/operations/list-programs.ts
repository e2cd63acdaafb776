import type { ProgramListAnswer, ProgramListEntry } from "../../domain/answer.ts";
import type { LinkId, ProgramId } from "../../domain/ids.ts";
import { programTypeText } from "../../domain/kernel-words.ts";
import { APPLICATION_KEY } from "../../domain/program.ts";
import { kernelProgramAnswer, programRecordAnswer } from "../../inspect/program.ts";
import type { Host } from "../../platform/host.ts";
import { hasApplication, hasMetadata, isOfKernelType, isOfType, requireTypeWord } from "../filter.ts";
import { operation } from "../operation.ts";
import { type ListProgramsRequest, listProgramsRequest } from "../requests/programs.ts";

function linksByProgram(host: Host): ReadonlyMap<ProgramId, LinkId[]> {
  const byProgram = new Map<ProgramId, LinkId[]>();
  for (const link of host.store.links()) {
    const ids = byProgram.get(link.programId) ?? [];
    ids.push(link.id);
    byProgram.set(link.programId, ids);
  }
  return byProgram;
}

function managed(host: Host, request: ListProgramsRequest): ProgramListEntry[] {
  const links = linksByProgram(host);
  return host.store
    .programs()
    .filter((record) => isOfType(record.type, request.programType))
    .filter((record) => hasApplication(record.metadata, request.application))
    .filter((record) => hasMetadata(record.metadata, request.metadataSelector))
    .map((record) => {
      const full = request.view === "full";
      const kernel = full ? host.kernel.program(record.id) : null;
      return {
        program_id: record.id,
        managed: true,
        application: record.metadata[APPLICATION_KEY] ?? null,
        type: record.type,
        function_name: record.name,
        links: links.get(record.id) ?? [],
        record: full ? programRecordAnswer(record) : null,
        kernel: kernel && kernelProgramAnswer(kernel),
      };
    });
}

/** Programs that only the kernel knows; they have neither application nor metadata. */
function foreign(host: Host, request: ListProgramsRequest): ProgramListEntry[] {
  if (request.application !== null || Object.keys(request.metadataSelector).length > 0) return [];
  const ours = new Set(host.store.programs().map((record) => record.id));
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
