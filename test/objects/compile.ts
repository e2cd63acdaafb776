/** Compiles BPF C for a test. Results are kept for the life of the process. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

const cache = new Map<string, Uint8Array>();

/** `source` is put behind the usual includes. `flags` come last, so they may switch off `-g`. */
export function compileBpf(source: string, flags: readonly string[] = []): Uint8Array {
  const key = [source, ...flags].join("\0");
  const known = cache.get(key);
  if (known) return known;
  const directory = mkdtempSync(join(tmpdir(), "bpfman-bpf-"));
  try {
    const output = join(directory, "object.o");
    const text = `#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n${source}\nchar LICENSE[] SEC("license") = "GPL";\n`;
    const command = [
      "clang",
      "-target",
      "bpf",
      "-O2",
      "-g",
      `-I/usr/include/${OWN_MULTIARCH}`,
      "-x",
      "c",
      "-c",
      "-",
      "-o",
      output,
    ];
    const result = Bun.spawnSync([...command, ...flags], { stdin: Buffer.from(text), stderr: "pipe" });
    if (result.exitCode !== 0) throw new Error(`clang failed: ${result.stderr.toString()}`);
    const bytes = new Uint8Array(readFileSync(output));
    cache.set(key, bytes);
    return bytes;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
