#!/bin/busybox sh
# The init process of the test machine: uses a directory of the host, whose root is shared over virtiofs, as its root,
# mounts fresh /tmp, /run, /dev, /proc and /sys, and the host's directories named on the kernel command line, runs the
# script named there, writes its exit code, powers off. If the command line names a system manager, that becomes the first
# process, and has a unit that does the rest.
b=/bin/busybox
$b mkdir -p /proc /host /newroot
$b mount -t proc proc /proc
for word in $($b cat /proc/cmdline); do
  case $word in
    vm.root=*) root=${word#vm.root=} ;;
    vm.script=*) script=${word#vm.script=} ;;
    vm.exit=*) exit_file=${word#vm.exit=} ;;
    vm.init=*) init=${word#vm.init=} ;;
    vm.bind=*) binds="$binds ${word#vm.bind=}" ;;
  esac
done
# Older kernels have the drivers for the shared root as modules; the file names give the order.
for module in /modules/*.ko; do
  if [ -e "$module" ]; then $b insmod "$module"; fi
done
if ! $b mount -t virtiofs hostroot /host || ! $b mount --bind "/host$root" /newroot; then
  echo "vm: cannot mount the root directory over virtiofs"
  $b poweroff -f
fi
cd /newroot || exit 1
for directory in proc sys dev tmp run; do $b mount -t tmpfs -o mode=755,size=70% "$directory" "$directory"; done
$b chmod 1777 tmp
for path in $binds; do
  $b mkdir -p "/newroot$path"
  $b mount --bind "/host$path" "/newroot$path"
done
$b mount -t proc proc proc
$b mount -t sysfs sysfs sys
$b mount -t devtmpfs devtmpfs dev
$b ln -sf /proc/self/fd dev/fd
$b ln -sf /proc/self/fd/0 dev/stdin
$b ln -sf /proc/self/fd/1 dev/stdout
$b ln -sf /proc/self/fd/2 dev/stderr
$b mkdir -p dev/shm dev/pts run/netns run/lock
$b mount -t tmpfs -o mode=1777 tmpfs dev/shm
$b mount -t devpts devpts dev/pts
for pair in bpf:sys/fs/bpf tracefs:sys/kernel/tracing debugfs:sys/kernel/debug securityfs:sys/kernel/security cgroup2:sys/fs/cgroup; do
  $b mount -t "${pair%%:*}" "${pair%%:*}" "${pair#*:}" 2>/dev/null || echo "vm: no ${pair%%:*}"
done
$b ip link set lo up
$b hostname bpfman-vm
$b umount /proc
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
if [ -n "$init" ]; then
  wanted=run/systemd/system/multi-user.target.wants
  $b mkdir -p "$wanted"
  $b cat >run/systemd/system/vm.service <<UNIT
[Service]
Environment=HOME=/root TERM=dumb
ExecStart=/bin/bash $script
StandardOutput=tty
StandardError=tty
ExecStopPost=/bin/sh -c 'echo "\$EXIT_STATUS" >$exit_file'
ExecStopPost=systemctl --no-block poweroff
UNIT
  $b ln -s ../vm.service "$wanted"
  exec $b switch_root /newroot "$init"
fi
exec $b switch_root /newroot /bin/busybox sh -c \
  "/bin/bash '$script'; echo \$? > '$exit_file'; /bin/busybox sync; /bin/busybox poweroff -f"
