/**
 * Downloads packages from Debian's archive with apt and unpacks them, without installing them, from suites that the
 * machine itself does not use. Only reads the machine's own apt configuration.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "./vm/run.ts";

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

function mirror(): string {
  const known = knownMirror();
  if (known !== null) return known;
  run(["apt-get", "-q", "update"]);
  const found = knownMirror();
  if (found === null) throw new Error("apt has no Debian source on this machine");
  return found;
}

/** Options that isolate apt: one suite, its own lists, its own cache. */
function privateApt(directory: string, suite: string): string[] {
  for (const sub of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(directory, sub), { recursive: true });
  const sources = join(directory, "sources.list");
  const keys = ["/usr/share/keyrings/debian-archive-keyring.gpg"];
  writeFileSync(sources, `deb [signed-by=${keys}] ${mirror()} ${suite} main\n`);
  return [
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=/dev/null",
    `Dir::State::lists=${join(directory, "lists")}`,
    `Dir::Cache=${join(directory, "cache")}`,
    "APT::Sandbox::User=root",
    // Only package lists: no translated descriptions, no data for software centres.
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
  ].flatMap((option) => ["-o", option]);
}

export interface Wanted {
  readonly suite: string;
  /** Names of the packages; may use apt's options to look them up. */
  packages(apt: readonly string[]): readonly string[];
  /** Runs on the tree before it counts as complete. */
  finish?(tree: string): void;
}

/** Unpacks packages into `directory/tree`, all or nothing, even if several processes do so at once. Throws if apt fails. */
export function fetchPackages(directory: string, { suite, packages, finish }: Wanted): void {
  const work = `${directory}.${process.pid}`;
  mkdirSync(join(work, "tree"), { recursive: true });
  try {
    const apt = privateApt(work, suite);
    run(["apt-get", ...apt, "-q", "update"]);
    run(["apt-get", ...apt, "-q", "download", ...packages(apt)], work);
    for (const file of readdirSync(work)) if (file.endsWith(".deb")) run(["dpkg", "-x", file, "tree"], work);
    finish?.(join(work, "tree"));
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
