/** Iterators, with the executable: what their programs write, against what bpftool says of the same things. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkReadAnswer } from "../../src/domain/answer.ts";
import { readProtocolPage } from "../documents/protocol-page.ts";
import { differences } from "../expect/same-shape.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { featureTest } from "../labs/kernel-feature.ts";
import { bpftool, counters, inKernel } from "../labs/kernel-lab.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");

const bpfman = executable();

featureTest("tracing", "the entries of a map are written anew each time", async () => {
  const programs = await bpfman.load(OBJECT, "--programs", "iter:write_entries:bpf_map_elem", "raw_tp:count_raw_tp");
  const owner = idOf(programs, "count_raw_tp");
  const id = idOf(programs, "write_entries");
  const lacking = await bpfman.refused(1, "INVALID_ATTACH", "attach", String(id), "iter");
  expect(lacking.message).toBe(
    'attach to iterator "bpf_map_elem": the kernel does not visit "bpf_map_elem" without being told whose',
  );
  const events = mapOf(programs, "events");
  const { record, status } = await bpfman.attach(id, "iter", "--map", `${owner}/events`);
  expect(record).toMatchObject({ kind: "iter", details: { iterator: "bpf_map_elem", map_id: events } });
  expect(status.kernel).toMatchObject({ link_type: "iter", iterator: "bpf_map_elem", map_id: events });
  expect(bpftool("link", "show", "id", String(record.kernel_link_id))).toMatchObject({ type: "iter", map_id: events });
  const written = () =>
    counters(events)
      .map((value, slot) => `${slot} ${value}\n`)
      .join("");
  expect(await bpfman.ok("iter", String(record.id))).toBe(written());
  await bpfman.ok("map", "update", `${owner}/events`, "3", "18446744073709551615");
  const now = await bpfman.ok("link", "read", String(record.id));
  expect(now).toContain("\n3 18446744073709551615\n");
  expect(now.split("\n").length).toBe(counters(events).length + 1);
  expect(await bpfman.ok("list", "links")).toContain(`bpf_map_elem map ${events}`);

  await bpfman.ok("detach", String(record.id));
  expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
  await bpfman.refused(3, "LINK_NOT_FOUND", "iter", String(record.id));
  await bpfman.ok("unload", String(id), String(owner));
  await bpfman.expectNothingLeft();
});

test("all maps of the kernel, to the last line", async () => {
  const programs = await bpfman.load(OBJECT, "--programs", "iter:write_maps:bpf_map", "-g", "LINES=e8030000");
  const id = idOf(programs, "write_maps");
  const { record } = await bpfman.attach(id, "iter");
  // Maps of others come and go.
  const ours = programs.flatMap(({ status }) => status.maps.map((map) => `map ${map.id}`));
  const linesOf = (text: string): string[] =>
    text
      .trimEnd()
      .split("\n")
      .filter((line) => ours.includes(line));
  const wanted = bpftool("map", "show").flatMap(({ id: map }: { readonly id: number }) =>
    ours.includes(`map ${map}`) ? Array.from({ length: 1000 }, () => `map ${map}`) : [],
  );
  expect(wanted.length).toBeGreaterThan(0);
  const text = await bpfman.ok("iter", String(record.id));
  expect(linesOf(text)).toEqual(wanted);
  // Nobody reads to the end.
  const pipe = `${bpfman.command("iter", String(record.id)).join(" ")} | head -n 1`;
  const first = Bun.spawnSync(["bash", "-o", "pipefail", "-c", pipe], { env: { ...process.env, ...bpfman.env } });
  expect([first.exitCode, first.stderr.toString()]).toEqual([0, ""]);
  expect(first.stdout.toString()).toMatch(/^map \d+\n$/);
  expect(linesOf(await bpfman.json<string>("iter", String(record.id)))).toEqual(wanted);
  // JSON-RPC gives it in pages, as its page shows.
  const rpc = new RpcProcess(bpfman.command("rpc"));
  await rpc.initialize();
  const { request, response } = readProtocolPage().exchange("link/read");
  const pages: string[] = [];
  for (let offset: number | null = 0; offset !== null && pages.length < 3; ) {
    const params = { ...request.params, linkId: record.id, offset };
    const result: LinkReadAnswer = await rpc.result("link/read", params);
    if (offset === 0) expect(differences(response.result, result)).toEqual([]);
    pages.push(Buffer.from(result.output, "base64").toString());
    offset = result.next;
  }
  await rpc.close();
  expect(pages.map((each) => each.length)).toEqual([8, 8, 8]);
  expect(pages.join("")).toMatch(/^(map \d+\n)+[map \d]*$/);
  await bpfman.ok("unload", String(id));
  await bpfman.expectNothingLeft();
});
