import type { VersionAnswer } from "../../domain/answer.ts";
import { printable } from "../../domain/printable.ts";

export const renderVersionLine = ({ version, commit }: VersionAnswer): string =>
  `${printable(`bpfman ${version} (${commit})`)}\n`;

export function renderVersion(answer: VersionAnswer): string {
  const lines = [
    `bun ${answer.bun}`,
    `libbpf ${answer.libbpf ?? "not found"}`,
    `linux ${answer.kernel} ${answer.arch}`,
  ];
  return renderVersionLine(answer) + lines.map((line) => `${printable(line)}\n`).join("");
}
