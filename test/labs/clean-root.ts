/** Root directories of Debian releases in which nothing of bpfman was ever installed, as a machine would have them. */
import { afterAll, beforeAll, expect } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { cacheDirectory, mirror } from "../../scripts/debian.ts";
import { run } from "../../scripts/vm/run.ts";
import { until } from "./kernel-lab.ts";

/** What a server has anyway: pages, shells with completion, systemd. */
const INCLUDED = "man-db,bash-completion,zsh,fish,systemd,ca-certificates,iproute2,iputils-ping,sqlite3";
/** A person would type yes; and a machine's clock need not be that of the archive. */
const APT =
  'APT::Get::Assume-Yes "true";\nAcquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\nAcquire::Languages "none";\n';

/** A root directory of that release, made once by debootstrap and kept for other runs. */
export function cachedRoot(suite: string): string {
  const directory = join(cacheDirectory("bpfman-roots"), suite);
  if (existsSync(directory)) return directory;
  const work = `${directory}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    run(["debootstrap", "--variant=minbase", `--include=${INCLUDED}`, suite, work, mirror()]);
    writeFileSync(join(work, "etc/apt/apt.conf.d/90test"), APT);
    renameSync(work, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return directory;
}

export interface CleanRoot {
  /** Puts a file into /root. */
  put(file: string): void;
  /** Words that run a command inside, with its network and PID namespaces. */
  readonly words: readonly string[];
  /** Runs commands of a shell inside, which must succeed; answers what they print to both streams. */
  sh(commands: string): string;
  /** The same with the machine's network, from which apt fetches. */
  online(commands: string): string;
}

/** A pristine copy of that release for all tests of a `describe`, which are run in their order. It goes with the last. */
export function cleanRoot(suite: string): CleanRoot {
  let directory = "";
  let holder: Bun.Subprocess | null = null;
  let root = "";
  const inside = (...namespaces: readonly string[]): string[] => [
    "nsenter",
    `--target=${holder?.pid}`,
    "--mount",
    ...namespaces,
    "chroot",
    root,
    "env",
    "-i",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "TERM=dumb",
    "LANG=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
  ];
  const bash = (words: readonly string[], commands: string): string => {
    const result = Bun.spawnSync([...words, "bash", "-euo", "pipefail", "-c", `exec 2>&1; cd /root; ${commands}`]);
    const text = result.stdout.toString();
    expect({ commands, code: result.exitCode, text }).toEqual({ commands, code: 0, text });
    return text;
  };
  beforeAll(async () => {
    const lower = cachedRoot(suite);
    directory = mkdtempSync(join(tmpdir(), "bpfman-root-"));
    root = join(directory, "root");
    mkdirSync(root);
    const script = `
      mount -t tmpfs tmpfs ${directory}
      mkdir ${root} ${directory}/upper ${directory}/work
      mount -t overlay -o lowerdir=${lower},upperdir=${directory}/upper,workdir=${directory}/work overlay ${root}
      mount -t proc proc ${root}/proc
      mount --rbind /sys ${root}/sys
      mount --rbind /dev ${root}/dev
      mount -t tmpfs -o mode=755 tmpfs ${root}/run
      mount -t tmpfs tmpfs ${root}/tmp
      ip link set lo up
      touch ${root}/tmp/ready
      exec sleep infinity`;
    holder = Bun.spawn(["unshare", "--mount", "--propagation=private", "--net", "bash", "-euc", script], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    await until(() => Bun.spawnSync([...inside(), "test", "-e", "/tmp/ready"]).exitCode === 0);
  }, 600_000);
  afterAll(async () => {
    holder?.kill("SIGKILL");
    await holder?.exited;
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    put: (file) => copyFileSync(file, `/proc/${holder?.pid}/root${root}/root/${basename(file)}`),
    get words() {
      return inside("--net");
    },
    sh: (commands) => bash(inside("--net"), commands),
    online: (commands) => bash(inside(), commands),
  };
}
