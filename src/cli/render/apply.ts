import type { ApplyAnswer, ApplyChangeAnswer } from "../../domain/answer.ts";
import { printable } from "../../domain/printable.ts";

const SIGNS: Readonly<Record<ApplyChangeAnswer["action"], string>> = {
  load: "+",
  attach: "+",
  replace: "~",
  reload: "~",
  update: "~",
  move: "~",
  label: "~",
  detach: "-",
  unload: "-",
  unchanged: "=",
};

function changeLine({ action, program, program_id, link_id, place, differences, reason }: ApplyChangeAnswer): string {
  const named = program_id === null ? program : `${program} (${program_id})`;
  const link = link_id === null ? "" : `link ${link_id}, `;
  const where = place === null ? "" : `: ${link}${place}`;
  const what = differences.map(({ what: name, from, to }) => `${name} ${from ?? "none"} → ${to ?? "none"}`).join(", ");
  const words = [action, named + where, what === "" ? "" : `— ${what}`, reason === null ? "" : `(${reason})`];
  return `  ${SIGNS[action]} ${words.filter((word) => word !== "").join(" ")}`;
}

export function renderApply({ applications, dry_run: dryRun }: ApplyAnswer): string {
  const all = applications.flatMap(({ changes }) => changes);
  const changed = all.filter(({ action }) => action !== "unchanged").length;
  const lines = applications
    .filter(({ changes }) => changes.length > 0)
    .flatMap(({ application, changes }) => [
      application === null ? "no application" : `application ${application}`,
      ...changes.map(changeLine),
    ]);
  const done = dryRun ? "to be changed" : "changed";
  const summary =
    all.length === 0 ? "the documents name nothing" : `${changed} ${done}, ${all.length - changed} unchanged`;
  return [...lines, summary].map((line) => `${printable(line)}\n`).join("");
}
