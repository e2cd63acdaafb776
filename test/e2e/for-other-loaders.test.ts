/** Objects that were written for other loaders load as they do there. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { compileBpf } from "../fakes/compile.ts";
import { executable } from "../fakes/executable.ts";
import { bpftool } from "../fakes/kernel-lab.ts";

const bpfman = executable();

function object(source: string, ...flags: string[]): string {
  writeFileSync(bpfman.path("object.o"), compileBpf(source, flags));
  return bpfman.path("object.o");
}

/** What a program that is not an extension answers for a packet. */
function answerOf(program: number): number {
  const packet = bpfman.path("packet");
  writeFileSync(packet, new Uint8Array(64));
  return bpftool("prog", "run", "id", String(program), "data_in", packet, "repeat", "1").retval;
}

const idOf = (program: { readonly record: { readonly program_id: number } | null } | undefined): number =>
  program?.record?.program_id ?? 0;

test("static functions in sections of programs are programs", async () => {
  const path = object(`
    __attribute__((used)) static SEC("tc") int quiet(struct __sk_buff *skb) { return 7; }
    SEC("tc") int loud(struct __sk_buff *skb) { return 6; }`);
  const loaded = await bpfman.load(path, "--programs", "tcx:quiet", "tcx:loud");
  expect(loaded.map((program) => answerOf(idOf(program)))).toEqual([7, 6]);
  const [alone] = await bpfman.load(path, "--programs", "tcx:loud");
  expect(answerOf(idOf(alone))).toBe(6);
});
