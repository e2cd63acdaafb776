/**
 * A real reboot, which `bun run test:long` makes (BPFMAN_REBOOT_KERNEL=6.12): a virtual machine is started
 * twice. What was attached is back, in the same order, and what cannot be is named.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { missingTool } from "../../scripts/vm/boot.ts";
import type { RestoreAnswer } from "../../src/domain/answer.ts";

const ROOT = resolve(import.meta.dir, "../..");
const KERNEL = process.env.BPFMAN_REBOOT_KERNEL ?? "";
const LIMIT_MS = 15 * 60_000;

interface Picture {
  readonly programs: readonly { readonly name: string; readonly links: readonly number[] }[];
  readonly links: readonly { readonly id: number; readonly kind: string; readonly details: Record<string, unknown> }[];
}

const missing = missingTool(["x64"]);
const obstacle = KERNEL === "" ? "bun run test:long runs it" : missing === null ? null : `${missing} is missing`;

async function live(phase: "before" | "after", directory: string): Promise<void> {
  const command = [process.execPath, "test/labs/reboot-machine.ts", phase, directory];
  const child = Bun.spawn([process.execPath, "scripts/vm.ts", KERNEL, "--", ...command], {
    ...{ cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] },
  });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`the machine ${phase} the reboot ended with ${code}:\n${out}${error}`);
}

(obstacle === null ? test : test.skip)(
  `everything that can come back is back after a reboot of Linux ${KERNEL}${obstacle === null ? "" : ` (skipped: ${obstacle})`}`,
  async () => {
    buildBpf();
    const directory = mkdtempSync(join(ROOT, "dist/reboot-"));
    const read = <T = Picture>(name: string): T => JSON.parse(readFileSync(join(directory, `${name}.json`), "utf8"));
    try {
      await live("before", directory);
      await live("after", directory);
      const before = read("before");
      expect(read("untouched")).toMatchObject({ programs: [], links: [] });
      const restored = read<RestoreAnswer>("restored");
      const lost = before.links.filter(
        ({ details }) => details.netns === "/run/netns/bpfman-goes" || (details.pid ?? null) !== null,
      );
      expect(restored.programs.filter(({ result }) => result !== "restored")).toEqual([]);
      const waiting = restored.links.filter(({ result }) => result !== "restored");
      expect(waiting.map(({ link_id: id, code }) => [id, code])).toEqual(
        lost.map(({ id, kind }) => [id, kind === "tcx" ? "NETNS_NOT_FOUND" : "PROCESS_NOT_FOUND"]),
      );
      // Three in each chain, three of TCX, two of a cgroup, nine of tracepoints and probes.
      expect(before.links.length).toBe(20);
      const gone = new Set(lost.map(({ id }) => id));
      expect(gone.size).toBe(2);
      const wanted = {
        ...before,
        links: before.links.filter(({ id }) => !gone.has(id)),
        programs: before.programs.map((program) => ({
          ...program,
          links: program.links.filter((id) => !gone.has(id)),
        })),
      };
      expect(read("after")).toEqual(wanted);
      expect(read<RestoreAnswer>("again")).toEqual({ dry_run: false, programs: [], links: waiting });
      expect(read("later")).toEqual(wanted);
      expect(read<unknown[]>("findings")).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);
