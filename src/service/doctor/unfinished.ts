/** Finds what commands that have ended left half done: what recovery finishes before the next change. */
import { DISPATCHER_TYPES } from "../../domain/dispatcher.ts";
import { isUnfinished } from "../../domain/ids.ts";
import type { Host } from "../../platform/host.ts";
import { linksOn } from "../chain/members.ts";
import type { Context } from "../operation.ts";
import { recover } from "../recovery/recover.ts";
import { type Found, finding, type Mend } from "./finding.ts";
import type { Rows } from "./rows.ts";

export function checkUnfinished(host: Host, { brief, links, dispatchers }: Rows, context: Context): Found[] {
  // Whatever is half done now is being done by that process.
  const holder = host.machine.lockHolder();
  if (holder !== null && !holder.stopped) return [];
  const mend: Mend = {
    stage: "unfinished",
    action: "finish what ended commands left",
    run: () => recover(host, context),
  };
  const found: Found[] = [];
  for (const row of brief) {
    if (!("id" in row) || row.state === "ready") continue;
    const doing = row.state === "pending" ? "made" : "removed";
    const what = `${row.kind} ${row.id} was being ${doing} by a command that has ended`;
    found.push(finding("change-unfinished", what, { [`${row.kind}_id`]: row.id, state: row.state }, { mend }));
  }
  for (const { record, isReady } of host.store.volumes().all()) {
    if (isReady) continue;
    const what = `volume ${record.id} was being published or unpublished by a command that has ended`;
    found.push(finding("change-unfinished", what, { volume_id: record.id, path: record.targetPath }, { mend }));
  }
  const { paths } = host.pins;
  for (const record of dispatchers) {
    const evidence = { interface: record.interface, revision: record.revision };
    const hook = `the ${record.type} hook of ${record.interface}`;
    if (record.pendingRevision !== null) {
      const what = `revision ${record.pendingRevision} of the chain on ${hook} was being made by a command that has ended`;
      found.push(
        finding("change-unfinished", what, { ...evidence, pending_revision: record.pendingRevision }, { mend }),
      );
    } else if (linksOn(links, record).length === 0) {
      found.push(finding("change-unfinished", `the chain on ${hook} has no members any more`, evidence, { mend }));
    }
  }
  const current = new Set(dispatchers.map((record) => paths.revision(record, record.revision)));
  const pending = new Set(dispatchers.map((record) => paths.revision(record, record.pendingRevision ?? 0)));
  for (const type of DISPATCHER_TYPES) {
    const directories = host.store
      .recordedPins(paths.chains(type))
      .flatMap(({ path }) => /^(.*)\/dispatcher$/.exec(path)?.[1] ?? []);
    for (const directory of directories) {
      if (current.has(directory) || pending.has(directory)) continue;
      const what = `${directory} is left of a chain's earlier revision`;
      found.push(finding("revision-left", what, { path: directory }, { mend }));
    }
  }
  for (const owner of new Set(brief.flatMap((row) => row.owner ?? []))) {
    if (!isUnfinished(owner) && !host.processes.hasEnded(owner)) continue;
    const what = isUnfinished(owner)
      ? "programs or links are parts of a change that a command which has ended did not finish"
      : `process ${owner.split(":")[0]}, with whose session programs or links were to go, has ended`;
    found.push(finding("change-unfinished", what, { owner }, { mend }));
  }
  return found;
}
