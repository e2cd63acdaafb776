import type { ProgramListAnswer, ProgramListEntry } from "../../domain/answer.ts";
import { programId } from "../../domain/ids.ts";
import { programPin } from "../../domain/pin.ts";
import { programTypeJson } from "../../domain/kernel-words.ts";
import { applicationOf, type Metadata } from "../../domain/program.ts";
import { pinState } from "../../inspect/pin-state.ts";
import { kernelProgramAnswer, programRecordAnswer } from "../../inspect/program-answer.ts";
import type { Host } from "../../platform/host.ts";
import { hasApplication, hasMetadata, isOfKernelType, isOfType, requireTypeWords } from "../filter.ts";
import { operation } from "../operation.ts";
import { type ListProgramsRequest, listProgramsRequest } from "../requests/program-requests.ts";

/** Loaded on demand: compiling its regular expressions takes longer than reading most lists. */
function selected(selector: string | null): (metadata: Metadata) => boolean {
  if (selector === null) return () => true;
  return (require("../selector.ts") as typeof import("../selector.ts")).parseSelector(selector);
}

/** Returns the rows of the listing; in the full view, with record and kernel state. */
function managed(host: Host, request: ListProgramsRequest): ProgramListEntry[] {
  const matches = selected(request.selector ?? null);
  const wanted = host.store
    .programSummaries()
    .filter(
      ({ type, metadata, links }) =>
        isOfType(type, request) &&
        hasApplication(metadata, request.application) &&
        hasMetadata(metadata, request.metadataSelector) &&
        matches(metadata) &&
        (request.attached ?? links.length > 0) === links.length > 0,
    );
  const entries = wanted.map(({ id, name, type, metadata, links, createdAt }) => ({
    program_id: id,
    managed: true,
    application: applicationOf(metadata),
    type,
    function_name: name,
    links,
    state: pinState(
      host,
      programPin(host.pins.paths.program(id), id),
      createdAt,
      () => host.kernel.program(id) !== null,
    ),
    record: null,
    kernel: null,
    status: { kernel: null },
  }));
  if (request.view === "summary") return entries;
  const records = new Map(host.store.programs().map((record) => [record.id as number, record]));
  return entries.map((entry) => {
    const record = records.get(entry.program_id);
    const found = host.kernel.program(programId(entry.program_id));
    const kernel = found && kernelProgramAnswer(found, record ?? null);
    return {
      ...entry,
      record: record === undefined ? null : programRecordAnswer(record),
      kernel,
      status: { kernel },
    };
  });
}

/** Returns unmanaged programs, which have no application, metadata, or links of bpfman. */
function foreign(host: Host, request: ListProgramsRequest): ProgramListEntry[] {
  const asksForOurs = request.application !== null || Object.keys(request.metadataSelector).length > 0;
  if (asksForOurs || (request.selector ?? null) !== null || request.attached === true) return [];
  const ours = new Set(host.store.programSummaries().map((program) => program.id));
  const entries: ProgramListEntry[] = [];
  for (const id of host.kernel.programIds()) {
    if (ours.has(id)) continue;
    const found = host.kernel.program(id);
    if (found === null || !isOfKernelType(found.type, request)) continue;
    const kernel = request.view === "full" ? kernelProgramAnswer(found, null) : null;
    entries.push({
      program_id: id,
      managed: false,
      application: null,
      type: programTypeJson(found.type),
      function_name: host.kernel.wholeName(found),
      links: [],
      state: null,
      record: null,
      kernel,
      status: { kernel },
    });
  }
  return entries;
}

function listPrograms(host: Host, request: ListProgramsRequest): ProgramListAnswer {
  requireTypeWords(request);
  const ours = managed(host, request);
  if (!request.all) return { programs: ours };
  return { programs: [...ours, ...foreign(host, request)].sort((a, b) => a.program_id - b.program_id) };
}

export const implementation = operation({
  get request() {
    return listProgramsRequest();
  },
  uses: ({ view, all }) => (view === "summary" && !all ? ["store", "pins"] : undefined),
  run: listPrograms,
});
