import type { RunAnswer } from "../../domain/answer.ts";
import { linkId, programId } from "../../domain/ids.ts";
import { linkAnswer } from "../../inspect/link-answer.ts";
import { programAnswer } from "../../inspect/program-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { Sources } from "../../platform/runtime.ts";
import { targetsFor } from "../attach/target-for.ts";
import { oneChange } from "../one-change.ts";
import { type Context, operation } from "../operation.ts";
import { requireLink, requireProgram } from "../require-record.ts";
import { type RunRequest, runRequest } from "../requests/run-request.ts";
import { fetchImage, type LoadInput, planLoad } from "./load.ts";

interface RunInput extends Pick<RunRequest, "attach" | "metadata"> {
  readonly load: LoadInput;
}

async function prepare(sources: Sources, { attach, ...load }: RunRequest, context: Context): Promise<RunInput> {
  return { attach, metadata: load.metadata, load: await fetchImage(sources, load, context) };
}

function plan(host: Host, { attach, load }: RunInput, context: Context) {
  const planned = planLoad(host, load, context);
  return { planned, targets: targetsFor(planned.specs, attach, context.nameOf) };
}

/** Loads programs and attaches each of them once: all of it, or nothing. */
async function run(host: Host, input: RunInput, context: Context): Promise<RunAnswer> {
  const { planned, targets } = plan(host, input, context);
  return oneChange(host, context, async (parts) => {
    const loaded = await parts.load(planned);
    const programs = loaded.programs.flatMap(({ record }) => (record === null ? [] : programId(record.program_id)));
    const links: number[] = [];
    for (const [index, id] of programs.entries()) {
      const attach = targets[index] as (typeof targets)[number];
      links.push((await parts.attach({ programId: id, attach, metadata: input.metadata })).record.id);
    }
    // Where a link is in its chain is known when all of them are there.
    return {
      programs: programs.map((id) => programAnswer(host, requireProgram(host, id))),
      links: links.map((id) => linkAnswer(host, requireLink(host, linkId(id)))),
    };
  });
}

export const implementation = operation({
  request: runRequest,
  prepare,
  check: (host: Host, input: RunInput, context: Context) => void plan(host, input, context),
  run,
});
