/** systemd as the first process of a root directory, as in a container, on this machine's kernel. */
import { existsSync, readFileSync, rmSync } from "node:fs";

/**
 * In namespaces of its own: mounts of what a machine has, another boot ID, and a unit that runs the script and ends it all. Of
 * /dev, what a container has.
 */
const CONTAINER = `
set -euo pipefail
root=$1 script=$2
shift 2
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for each in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs "$each"; done
chmod 1777 tmp
for each in null zero full random urandom tty; do touch "dev/$each"; mount --bind "/dev/$each" "dev/$each"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for each in "$@"; do mkdir -p "./$each"; mount --bind "$each" "./$each"; done
cat /proc/sys/kernel/random/uuid >run/boot-id
mount --bind run/boot-id proc/sys/kernel/random/boot_id
mkdir -p run/systemd/system/multi-user.target.wants
cat >run/systemd/system/vm.service <<UNIT
[Service]
Environment=HOME=/root TERM=dumb
ExecStart=/bin/bash -c 'exec >$script.out 2>&1; bash $script'
ExecStopPost=/bin/sh -c 'echo "\\$EXIT_STATUS" >$script.exit'
ExecStopPost=systemctl --no-block poweroff
UNIT
ln -s ../vm.service run/systemd/system/multi-user.target.wants
mkdir run/old
pivot_root . run/old
umount -l /run/old
rmdir /run/old
# Without modules, which are the machine's.
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set=-sys_module /lib/systemd/systemd
`;

const NAMESPACES = [
  "--mount",
  "--propagation=private",
  "--pid",
  "--fork",
  "--kill-child",
  "--net",
  "--ipc",
  "--uts",
  "--cgroup",
];

/** Boots it, and runs `script`, a file in one of the `directories` that it has of this machine. */
export function bootHere(
  root: string,
  { script, directories, timeoutMs }: { script: string; directories: readonly string[]; timeoutMs: number },
): { readonly status: number | null; readonly text: string } {
  const [said, exit] = [`${script}.out`, `${script}.exit`];
  for (const file of [said, exit]) rmSync(file, { force: true });
  const words = ["unshare", ...NAMESPACES, "bash", "-c", CONTAINER, "bash", root, script, ...directories];
  const { stderr } = Bun.spawnSync(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: timeoutMs });
  return {
    status: existsSync(exit) ? Number(readFileSync(exit, "utf8")) : null,
    text: existsSync(said) ? readFileSync(said, "utf8") : stderr.toString(),
  };
}
