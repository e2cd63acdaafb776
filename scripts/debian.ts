/**
 * Downloads packages from Debian's archive with apt and unpacks them, without installing them, from suites that the
 * machine itself does not use. Only reads the machine's own apt configuration.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Processor } from "./bun-for.ts";
import { run } from "./vm/run.ts";

/** The names of Debian's directories with what is for one processor: `/usr/lib/aarch64-linux-gnu`. */
export const MULTIARCH: Readonly<Record<Processor, string>> = {
  x64: "x86_64-linux-gnu",
  arm64: "aarch64-linux-gnu",
};

/** That of this machine's processor. */
export const OWN_MULTIARCH = MULTIARCH[process.arch as Processor];

/** A directory outside of the repository, for downloads that all checkouts share. */
export const cacheDirectory = (name: string): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), name);

/** The mirror that this machine's apt uses for Debian; null if it has no Debian source, or has not fetched its lists. */
function knownMirror(): string | null {
  const targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)"]);
  for (const line of targets.split("\n")) {
    const [uri, origin, label] = line.split(" ");
    if (uri && origin === "Debian" && label === "Debian") return uri;
  }
  return null;
}

/** That mirror, after fetching the lists if need be. Throws if there is none. */
export function mirror(): string {
  const known = knownMirror();
  if (known !== null) return known;
  run(["apt-get", "-q", "update"]);
  const found = knownMirror();
  if (found === null) throw new Error("apt has no Debian source on this machine");
  return found;
}

/** Options that isolate apt: one suite, its own lists, its own cache, as if nothing were installed. */
function privateApt(directory: string, { suite, architecture }: Wanted): string[] {
  for (const sub of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(directory, sub), { recursive: true });
  const sources = join(directory, "sources.list");
  const keys = ["/usr/share/keyrings/debian-archive-keyring.gpg"];
  writeFileSync(sources, `deb [signed-by=${keys}] ${mirror()} ${suite} main\n`);
  writeFileSync(join(directory, "status"), "");
  const other = architecture === undefined ? [] : ["APT::Architecture", "APT::Architectures"];
  return [
    ...other.map((option) => `${option}=${architecture}`),
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=/dev/null",
    `Dir::State::lists=${join(directory, "lists")}`,
    `Dir::State::status=${join(directory, "status")}`,
    `Dir::Cache=${join(directory, "cache")}`,
    "APT::Sandbox::User=root",
    // Only package lists: no translated descriptions, no data for software centres.
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
  ].flatMap((option) => ["-o", option]);
}

export interface Wanted {
  readonly suite: string;
  /** As Debian names it; this machine's own if left out. */
  readonly architecture?: string;
  /** Names of the packages; may use apt's options to look them up. */
  packages(apt: readonly string[]): readonly string[];
  /** Also what the packages need, for a directory in which they run, and in which dpkg counts them as installed. */
  readonly withDependencies?: true;
  /** Runs on the tree before it counts as complete. */
  finish?(tree: string): void;
}

/** Other than `dpkg -x`, leaves a link to a directory where it is. */
const UNPACK = 'set -o pipefail; dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --keep-directory-symlink';

/** The database of dpkg in which all packages of a directory are installed. */
const statusOf = (directory: string): string =>
  readdirSync(directory)
    .filter((file) => file.endsWith(".deb"))
    .map((file) => `${run(["dpkg-deb", "--field", join(directory, file)]).trim()}\nStatus: install ok installed\n\n`)
    .join("");

/** Unpacks packages into `directory/tree`, all or nothing, even if several processes do so at once. Throws if apt fails. */
export function fetchPackages(directory: string, wanted: Wanted): void {
  const work = `${directory}.${process.pid}`;
  const tree = join(work, "tree");
  mkdirSync(tree, { recursive: true });
  try {
    const apt = ["apt-get", ...privateApt(work, wanted), "-q"];
    run([...apt, "update"]);
    const packages = wanted.packages(apt.slice(1));
    const archives = wanted.withDependencies ? join(work, "cache/archives") : work;
    if (wanted.withDependencies) {
      run([...apt, "-y", "--no-install-recommends", "--download-only", "install", ...packages]);
      // Since Debian 12, these are links, which no package contains.
      for (const name of ["bin", "sbin", "lib"]) {
        mkdirSync(join(tree, "usr", name), { recursive: true });
        symlinkSync(`usr/${name}`, join(tree, name));
      }
    } else run([...apt, "download", ...packages], work);
    for (const file of readdirSync(archives)) {
      if (file.endsWith(".deb")) run(["bash", "-c", UNPACK, join(archives, file), tree]);
    }
    if (wanted.withDependencies) writeFileSync(join(tree, "var/lib/dpkg/status"), statusOf(archives));
    wanted.finish?.(tree);
    for (const leftover of ["lists", "cache"]) rmSync(join(work, leftover), { recursive: true });
    for (const file of readdirSync(work)) if (file.endsWith(".deb")) rmSync(join(work, file));
    writeFileSync(join(work, "complete"), "");
    mkdirSync(dirname(directory), { recursive: true });
    rmSync(directory, { recursive: true, force: true });
    renameSync(work, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
