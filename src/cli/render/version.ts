import type { VersionAnswer } from "../../domain/answer.ts";
import { printable } from "../../domain/printable.ts";

export function renderVersion(answer: VersionAnswer): string {
  const lines = [
    `bpfman ${answer.version} (${answer.commit})`,
    `bun ${answer.bun}`,
    `libbpf ${answer.libbpf ?? "not found"}`,
    `linux ${answer.kernel} ${answer.arch}`,
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}
