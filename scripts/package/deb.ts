/** `bpfman_VERSION_ARCHITECTURE.deb`, by dpkg-deb. */
import { copyFileSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Processor } from "../bun-for.ts";
import { ARCHITECTURES, pack, type Release, ROOT, XZ_LEVEL } from "./release.ts";
import { setTimes } from "./tree.ts";

const SOURCES = join(ROOT, "packaging/debian");
const MAINTAINER = "bpfman maintainers <maintainers@bpfman.example>";
const SCRIPTS = ["postinst", "prerm", "postrm"];

export interface DebOptions {
  readonly release: Release;
  readonly processor: Processor;
  readonly output: string;
  /** As dpkg-deb names it. */
  readonly compression?: "xz" | "none";
}

/** Changes of the tree that only Debian wants; `tree` is left as it is. Returns the path of the package. */
export async function writeDeb(
  tree: string,
  { release, processor, output, compression = "xz" }: DebOptions,
): Promise<string> {
  const root = `${tree}.deb`;
  cpSync(tree, root, { recursive: true, verbatimSymlinks: true });
  const move = (from: string, to: string): void => {
    mkdirSync(join(root, to, ".."), { recursive: true });
    renameSync(join(root, from), join(root, to));
  };
  move("usr/share/zsh/site-functions", "usr/share/zsh/vendor-completions");
  mkdirSync(join(root, "usr/share/lintian/overrides"), { recursive: true });
  copyFileSync(join(SOURCES, "lintian-overrides"), join(root, "usr/share/lintian/overrides/bpfman"));

  const date = new Date(release.time * 1000).toUTCString().replace("GMT", "+0000");
  const entry = `bpfman (${release.version}) unstable; urgency=medium\n\n  * CHANGELOG.md.gz has all changes.\n\n -- ${MAINTAINER}  ${date}\n`;
  writeFileSync(join(root, "usr/share/doc/bpfman/changelog.gz"), gzipSync(entry, { level: 9 }));

  const sums = await pack(["sh", "-c", "find usr -type f | LC_ALL=C sort | xargs md5sum"], { release, cwd: root });
  const size = await pack(["du", "-sk", "--apparent-size", root], { release });
  const architecture = ARCHITECTURES[processor].deb;
  const values = {
    MAINTAINER,
    VERSION: release.version,
    ARCHITECTURE: architecture,
    SIZE: Number.parseInt(size, 10),
  };
  const control = readFileSync(join(SOURCES, "control"), "utf8").replaceAll(
    /\$\{(\w+)\}/g,
    (_, name: keyof typeof values) => String(values[name]),
  );
  mkdirSync(join(root, "DEBIAN"));
  writeFileSync(join(root, "DEBIAN/control"), control);
  writeFileSync(join(root, "DEBIAN/conffiles"), "/etc/bpfman/bpfman.toml\n");
  writeFileSync(join(root, "DEBIAN/md5sums"), sums);
  for (const script of SCRIPTS) copyFileSync(join(SOURCES, script), join(root, "DEBIAN", script));
  await setTimes(root, release);

  const file = join(output, `bpfman_${release.version}_${architecture}.deb`);
  await pack(
    [
      "dpkg-deb",
      "--root-owner-group",
      `-Z${compression}`,
      ...(compression === "xz" ? [`-z${XZ_LEVEL}`] : []),
      "--build",
      root,
      file,
    ],
    { release },
  );
  rmSync(root, { recursive: true });
  return file;
}
