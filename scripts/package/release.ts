/** What is packed, and the commands that pack it. */
import { resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import type { Processor } from "../bun-for.ts";
import { run } from "../vm/run.ts";

export const ROOT = resolve(import.meta.dir, "../..");

export interface Release {
  readonly version: string;
  /** Seconds since 1970 that every packed file carries, so that two runs pack the same bytes. */
  readonly time: number;
}

/** The release of this commit: the version of package.json, and the time of the commit unless SOURCE_DATE_EPOCH says it. */
export function releaseOfCommit(): Release {
  const time = process.env.SOURCE_DATE_EPOCH ?? run(["git", "-C", ROOT, "log", "-1", "--format=%ct"]).trim();
  if (!/^\d+$/.test(time)) throw new Error(`SOURCE_DATE_EPOCH must be seconds since 1970, not "${time}"`);
  return { version: packageJson.version, time: Number(time) };
}

/** What each kind of package calls a processor. */
export const ARCHITECTURES: Readonly<
  Record<Processor, { readonly deb: string; readonly rpm: string; readonly oci: string }>
> = { x64: { deb: "amd64", rpm: "x86_64", oci: "amd64" }, arm64: { deb: "arm64", rpm: "aarch64", oci: "arm64" } };

/** Options of tar for bytes that do not depend on who packs, and when. */
export const archiveOptions = ({ time }: Release): readonly string[] => [
  ...["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"],
  `--mtime=@${time}`,
];

/** A little larger than with 2, which takes twice as long, and an eighth than with 6, which takes six times as long. */
export const XZ_LEVEL = 1;

/** Runs a command beside others until it exits, and returns its output. If it fails, throws an error with that output. */
export async function pack(
  command: readonly string[],
  { release, cwd = ROOT, env = {} }: { release: Release; cwd?: string; env?: Readonly<Record<string, string>> },
): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd,
    // The time of what tools write themselves, and texts that do not depend on who runs them.
    env: { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC", SOURCE_DATE_EPOCH: String(release.time), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.slice(0, 2).join(" ")} failed with status ${code}: ${error || out}`);
  return out;
}
