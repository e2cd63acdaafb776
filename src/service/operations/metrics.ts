import { MAP_ENTRIES_COUNTED_MAX } from "../../domain/limits.ts";
import { mapTypeJson } from "../../domain/map-type-words.ts";
import { applicationOf } from "../../domain/program.ts";
import { prometheusText } from "../../domain/prometheus.ts";
import type { MetricAnswer, MetricSampleAnswer, MetricsAnswer } from "../../domain/stats-answer.ts";
import { ifPermitted } from "../../inspect/map-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { MapOpener } from "../../platform/kernel.ts";
import { knownMaps } from "../map/find-map.ts";
import { countEntries } from "../map/map-status.ts";
import { operation } from "../operation.ts";
import { type MetricsRequest, metricsRequest } from "../requests/stats-requests.ts";
import { chainsOf } from "../stats/chains.ts";

type Labels = MetricSampleAnswer["labels"];

/** A metric that counts how often each set of labels occurs. */
function tally(items: readonly Labels[]): MetricSampleAnswer[] {
  const counts = new Map<string, { readonly labels: Labels; value: number }>();
  for (const labels of items) {
    const key = JSON.stringify(labels);
    const sample = counts.get(key) ?? { labels, value: 0 };
    sample.value++;
    counts.set(key, sample);
  }
  return [...counts.values()];
}

const sample = (labels: Labels, value: number): MetricSampleAnswer => ({ labels, value });
const NS_PER_SECOND = 1e9;

function programMetrics(host: Host): MetricAnswer[] {
  const records = host.store.programs();
  const applications = new Map(records.map(({ id, metadata }) => [id, applicationOf(metadata) ?? ""]));
  const types = records.map(({ type, id }) => ({ type, application: applications.get(id) ?? "" }));
  const links = host.store.links().map(({ details, programId: program }) => ({
    type: details.kind,
    application: applications.get(program) ?? "",
  }));
  const counts = host.kernel.countsRuns();
  const [runs, times, instructions]: [MetricSampleAnswer[], MetricSampleAnswer[], MetricSampleAnswer[]] = [[], [], []];
  for (const { id, name, type } of records) {
    const program = host.kernel.program(id);
    if (program === null) continue;
    const labels = { program_id: String(id), name, type, application: applications.get(id) ?? "" };
    instructions.push(sample(labels, program.verifiedInstructions));
    // No runs, and runs that were not counted, are different.
    if (program.runCount === 0 && !counts) continue;
    runs.push(sample(labels, program.runCount));
    times.push(sample(labels, program.runTimeNs / NS_PER_SECOND));
  }
  return [
    {
      name: "bpfman_programs",
      type: "gauge",
      help: "Programs that bpfman loaded.",
      samples: tally(types),
    },
    { name: "bpfman_links", type: "gauge", help: "Links: programs attached to a hook.", samples: tally(links) },
    {
      name: "bpfman_run_statistics_enabled",
      type: "gauge",
      help: "Whether the kernel counts runs all the time (sysctl kernel.bpf_stats_enabled).",
      samples: [sample({}, counts ? 1 : 0)],
    },
    {
      name: "bpfman_program_runs_total",
      type: "counter",
      help: "Runs of a program while the kernel counted. Runs as a member of a chain belong to the dispatcher, and are not included.",
      samples: runs,
    },
    {
      name: "bpfman_program_run_time_seconds_total",
      type: "counter",
      help: "Time that these runs took.",
      samples: times,
    },
    {
      name: "bpfman_program_verified_instructions",
      type: "gauge",
      help: "Instructions that the verifier processed to accept the program.",
      samples: instructions,
    },
  ];
}

function mapMetrics(host: Host, openMap: MapOpener): MetricAnswer[] {
  const [memory, used, room]: [MetricSampleAnswer[], MetricSampleAnswer[], MetricSampleAnswer[]] = [[], [], []];
  for (const { id, name, programs } of knownMaps(host.store.programs()).values()) {
    // Without CAP_SYS_ADMIN, maps of global variables cannot be looked at.
    const open = ifPermitted(() => openMap(id));
    if (open === null) continue;
    try {
      const { type, memlock, maxEntries } = open.map;
      const entries = countEntries(open, MAP_ENTRIES_COUNTED_MAX);
      const [owner] = programs;
      const application = owner === undefined ? "" : (applicationOf(owner.metadata) ?? "");
      const labels = { map_id: String(id), name, type: mapTypeJson(type), application };
      if (memlock !== null) memory.push(sample(labels, memlock));
      if (entries !== null) used.push(sample(labels, entries));
      room.push(sample(labels, maxEntries));
    } finally {
      open.close();
    }
  }
  return [
    { name: "bpfman_map_memory_bytes", type: "gauge", help: "Memory charged for a map.", samples: memory },
    {
      name: "bpfman_map_entries",
      type: "gauge",
      help: `Entries in a map; missing for maps with more than ${MAP_ENTRIES_COUNTED_MAX}.`,
      samples: used,
    },
    { name: "bpfman_map_max_entries", type: "gauge", help: "Entries for which a map has room.", samples: room },
  ];
}

function metricsOf(host: Host, openMap: MapOpener): MetricAnswer[] {
  const chains = chainsOf(host).map(({ record, members }) =>
    sample({ type: record.type, interface: record.interface, nsid: String(record.nsid) }, members.length),
  );
  const failures = [...host.store.operations(null)]
    .filter(({ result }) => result !== "ok")
    .map(({ operation: name, result }) => ({ operation: name, code: result }));
  return [
    ...programMetrics(host),
    ...mapMetrics(host, openMap),
    {
      name: "bpfman_chain_members",
      type: "gauge",
      help: "Programs that bpfman runs on an XDP or TC hook.",
      samples: chains,
    },
    {
      name: "bpfman_failed_operations",
      type: "gauge",
      help: "Changes that failed, by error code, among those that the history keeps.",
      samples: tally(failures),
    },
  ];
}

async function metrics(host: Host, { output }: MetricsRequest): Promise<MetricsAnswer> {
  const answer = metricsOf(host, await host.kernel.mapOpener());
  const file = output === null ? null : host.files.absolute(output);
  if (file !== null) host.files.saveText(file, prometheusText(answer));
  return { metrics: answer, file };
}

export const implementation = operation({ request: metricsRequest, run: metrics });
