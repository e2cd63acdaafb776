/** `bun scripts/generate-grpc.ts`: writes what @bufbuild/protobuf needs to know of our .proto files into src/grpc/generated. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const PROTO = join(ROOT, "src/grpc/proto");
export const GENERATED = join(ROOT, "src/grpc/generated");

/** Returns the text of each file by its name. Throws with what buf says. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const out = mkdtempSync(join(tmpdir(), "bpfman-protos-"));
  try {
    const plugin = {
      local: [process.execPath, join(ROOT, "node_modules/.bin/protoc-gen-es")],
      out,
      opt: ["target=ts"],
    };
    const run = Bun.spawnSync(
      [
        join(ROOT, "node_modules/.bin/buf"),
        "generate",
        PROTO,
        "--template",
        JSON.stringify({ version: "v2", plugins: [plugin] }),
      ],
      // buf keeps a cache below this, of which nothing is used.
      { cwd: out, env: { ...process.env, BUF_CACHE_DIR: out } },
    );
    if (run.exitCode !== 0) throw new Error(run.stderr.toString());
    const names = readdirSync(out).filter((name) => name.endsWith("_pb.ts"));
    return new Map(
      names.map((name) => [name.replace("_pb", ""), `${readFileSync(join(out, name), "utf8").trimEnd()}\n`]),
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  for (const [name, text] of generatedFiles()) writeFileSync(join(GENERATED, name), text);
}
