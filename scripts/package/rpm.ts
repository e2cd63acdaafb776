/** `bpfman-VERSION-1.ARCHITECTURE.rpm`, by rpmbuild. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Processor } from "../bun-for.ts";
import { ARCHITECTURES, pack, type Release, ROOT } from "./release.ts";

/** Returns the path of the package. */
export async function writeRpm(
  tree: string,
  { release, processor, output }: { release: Release; processor: Processor; output: string },
): Promise<string> {
  const work = `${tree}.rpm`;
  mkdirSync(work);
  const architecture = ARCHITECTURES[processor].rpm;
  const definitions = {
    _topdir: work,
    _dbpath: join(work, "db"),
    bpfman_tree: tree,
    bpfman_version: release.version,
    // What the rpm of Fedora and openSUSE unpacks; a higher level takes minutes.
    _binary_payload: "w12.zstdio",
    // Nothing about the machine that packs.
    _buildhost: "localhost",
    use_source_date_epoch_as_buildtime: "1",
    clamp_mtime_to_source_date_epoch: "1",
  };
  const defined = Object.entries(definitions).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
  const spec = join(ROOT, "packaging/rpm/bpfman.spec");
  await pack(["rpmbuild", "-bb", "--target", `${architecture}-linux`, ...defined, spec], {
    release,
    env: { HOME: work },
  });
  const name = `bpfman-${release.version}-1.${architecture}.rpm`;
  renameSync(join(work, "RPMS", architecture, name), join(output, name));
  rmSync(work, { recursive: true });
  return join(output, name);
}
