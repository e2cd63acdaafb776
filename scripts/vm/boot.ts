/** Boots an unpacked kernel under QEMU's software emulation, with the host's root directory as the guest's root. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Processor } from "../bun-for.ts";
import { rootFor, type UnpackedKernel } from "./kernels.ts";
import { run } from "./run.ts";

/** Modules for the shared root, in order of insertion; a kernel may have some of them built in. */
const ROOT_MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "fuse",
  "virtiofs",
];
/** From the package qemu-system-common, and since Debian 13 from a package of its own; both take the same options. */
const VIRTIOFSD = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"];
const SOCKET_WAIT_MS = 5_000;
/** A boot takes about ten seconds on an idle host; one that takes this long has hung. */
const BOOT_LIMIT_MS = 3 * 60_000;
/** systemd starts many programs besides. */
const SYSTEM_BOOT_LIMIT_MS = 10 * 60_000;
/** The script gives a sign of life every 20 seconds (scripts/vm.ts); a machine that is silent for this long has died. */
const SILENCE_LIMIT_MS = 3 * 60_000;
const SILENCE_CHECK_MS = 10_000;
const MEMORY = "2G";
/** Two are not faster, and one may run code that the other is changing, which has crashed kernels. */
const PROCESSORS = "1";
/** Switches off kernel hardening, which costs time under emulation and is not tested here. */
const SPEED = "mitigations=off init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off";

interface Machine {
  readonly qemu: string;
  readonly options: readonly string[];
  readonly console: string;
}

const MACHINES: Readonly<Record<Processor, Machine>> = {
  /**
   * Everything the emulation supports, except what makes it slow: string instructions, which it runs byte by byte, a
   * fifth level of page tables, and waiting with mwait, which keeps a whole processor busy. Also without cx16, with which
   * an early double fault was seen.
   */
  x64: {
    qemu: "qemu-system-x86_64",
    options: ["-cpu", "max,-cx16,-erms,-fsrm,-la57,-monitor"],
    console: "ttyS0",
  },
  /** That of Graviton 2 and Ampere Altra: without pointer authentication, which is slow to emulate. */
  arm64: { qemu: "qemu-system-aarch64", options: ["-machine", "virt", "-cpu", "neoverse-n1"], console: "ttyAMA0" },
};

/** How a machine ended: with its script's exit code, or for another reason. One that died may be restarted. */
export type BootResult =
  | { readonly status: number }
  | { readonly status: null; readonly died: boolean; readonly reason: string };

/** The first line that the script prints, to tell a failed boot from a failed test. */
export const BEGIN_MARK = "vm: begin";

/** The file that the script touches as long as its machine is alive. */
export const signOfLife = (script: string): string => `${script}.alive`;

const secondsOf = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;

function makeInitrd(kernel: UnpackedKernel, work: string): string {
  const root = join(work, "initrd");
  for (const directory of ["bin", "modules"]) mkdirSync(join(root, directory), { recursive: true });
  copyFileSync(join(rootFor(kernel.processor), "bin/busybox"), join(root, "bin/busybox"));
  copyFileSync(join(import.meta.dir, "init.sh"), join(root, "init"));
  chmodSync(join(root, "init"), 0o755);
  const modules = join(kernel.root, "lib/modules", kernel.release);
  ROOT_MODULES.forEach((name, index) => {
    const [file] = run(["find", modules, "-name", `${name}.ko*`]).split("\n");
    if (!file) return;
    const target = join(root, "modules", `${10 + index}-${name}.ko`);
    if (file.endsWith(".xz")) writeFileSync(target, Bun.spawnSync(["xz", "-dc", file]).stdout);
    else if (file.endsWith(".zst")) writeFileSync(target, Bun.spawnSync(["zstd", "-dqc", file]).stdout);
    else cpSync(file, target);
  });
  const initrd = join(work, "initrd.gz");
  run(["bash", "-c", `set -o pipefail; find . | cpio -o -H newc --quiet | gzip -1 > '${initrd}'`], root);
  return initrd;
}

async function waitFor(path: string): Promise<void> {
  for (let waited = 0; waited < SOCKET_WAIT_MS; waited += 50) {
    if (existsSync(path)) return;
    await Bun.sleep(50);
  }
  throw new Error("virtiofsd did not start");
}

/** The first tool that is missing to start machines with these processors; null if all are installed. */
export function missingTool(processors: readonly Processor[]): string | null {
  const tools = [...processors.map((processor) => MACHINES[processor].qemu), "cpio", "busybox", "depmod", "xz"];
  const missing = tools.find((tool) => Bun.which(tool) === null);
  if (missing !== undefined) return missing;
  return VIRTIOFSD.some((path) => existsSync(path)) ? null : "virtiofsd";
}

/** Copies the console to `print`, line by line, starting at the script's first line, for which it calls `begun`. */
async function follow(
  stream: ReadableStream<Uint8Array>,
  print: (line: string) => void,
  begun: () => void,
): Promise<void> {
  let began = false;
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.map((text) => text.replace(/\r/g, ""))) {
      if (began || line.startsWith("vm: ") || /panic|BUG:|Oops/.test(line)) print(line);
      if (line.startsWith(BEGIN_MARK)) {
        began = true;
        begun();
      }
    }
  }
}

/**
 * Runs `script` with bash as root in the guest, whose root is the host's `root`: its own, or one for the kernel's
 * processor, in which the guest has the host's `directories` besides. The guest's /tmp and /run are empty, except for
 * those of the `directories` that are in there. With `init`, that is the guest's first process and runs the script as a unit of
 * its own: it must be systemd.
 */
export async function boot(
  kernel: UnpackedKernel,
  options: {
    readonly root: string;
    readonly script: string;
    readonly directories: readonly string[];
    readonly timeoutMs: number;
    readonly print: (line: string) => void;
    readonly signal: AbortSignal;
    readonly init?: string;
  },
): Promise<BootResult> {
  const work = mkdtempSync(join(tmpdir(), "bpfman-vm-"));
  const exitFile = `${options.script}.exit`;
  const alive = signOfLife(options.script);
  const socket = join(work, "fs.sock");
  const machine = MACHINES[kernel.processor];
  const append = [
    `console=${machine.console} panic=-1 quiet audit=0 ${SPEED} lsm=landlock,lockdown,yama,bpf`,
    ...[`vm.root=${options.root}`, `vm.script=${options.script}`, `vm.exit=${exitFile}`],
    ...(options.init === undefined
      ? []
      : [`vm.init=${options.init}`, "systemd.getty_auto=no", "systemd.show_status=no"]),
    ...options.directories
      .filter((directory) => options.root !== "/" || /^\/(tmp|run)\//.test(directory))
      .map((directory) => `vm.bind=${directory}`),
  ].join(" ");
  for (const file of [exitFile, alive]) rmSync(file, { force: true });
  const children: Bun.Subprocess[] = [];
  try {
    const initrd = makeInitrd(kernel, work);
    const daemon = [
      VIRTIOFSD.find((path) => existsSync(path)) ?? "virtiofsd",
      `--socket-path=${socket}`,
      ...["-o", "source=/", "-o", "sandbox=chroot"],
      // If the cache is dropped at each open, memory is reused without the emulation noticing, and it runs stale code.
      ...["-o", "cache=always"],
      // virtiofsd keeps every file open that the guest has looked up; listing a directory must not look up all of it.
      ...["-o", "no_readdirplus"],
    ];
    children.push(Bun.spawn(daemon, { stdin: "ignore", stdout: "ignore", stderr: Bun.file(join(work, "fs.log")) }));
    await waitFor(socket);
    const qemu = Bun.spawn(
      [
        // Ends qemu even if this process is killed.
        ...["setpriv", "--pdeathsig", "KILL"],
        ...[machine.qemu, ...machine.options, "-accel", "tcg,thread=multi", "-smp", PROCESSORS, "-m", MEMORY],
        ...["-object", `memory-backend-memfd,id=mem,size=${MEMORY},share=on`, "-numa", "node,memdev=mem"],
        ...["-chardev", `socket,id=fs,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=fs,tag=hostroot"],
        ...["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"],
        ...["-kernel", kernel.image, "-initrd", initrd, "-append", append],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    );
    children.push(qemu);
    let reason = "the machine stopped before the script ended";
    let died = true;
    const stop = () => qemu.kill("SIGKILL");
    const stopFor = (why: string, fault: "machine" | "script") => {
      reason = why;
      died = fault === "machine";
      stop();
    };
    const bootLimitMs = options.init === undefined ? BOOT_LIMIT_MS : SYSTEM_BOOT_LIMIT_MS;
    const timers = [
      setTimeout(() => stopFor(`the script did not start within ${secondsOf(bootLimitMs)}`, "machine"), bootLimitMs),
    ];
    const watch = () => {
      clearTimeout(timers.shift());
      const beganAt = Date.now();
      const { timeoutMs } = options;
      timers.push(
        setTimeout(() => stopFor(`the script had not ended after ${secondsOf(timeoutMs)}`, "script"), timeoutMs),
      );
      const look = () => {
        const seenAt = existsSync(alive) ? statSync(alive).mtimeMs : beganAt;
        const silent = Date.now() - Math.max(beganAt, seenAt);
        if (silent > SILENCE_LIMIT_MS) stopFor(`no sign of life for ${secondsOf(silent)}`, "machine");
      };
      timers.push(setInterval(look, SILENCE_CHECK_MS));
    };
    options.signal.addEventListener("abort", stop, { once: true });
    await follow(qemu.stdout, options.print, watch);
    await qemu.exited;
    timers.forEach(clearTimeout);
    options.signal.removeEventListener("abort", stop);
    if (existsSync(exitFile)) return { status: Number(readFileSync(exitFile, "utf8").trim()) };
    return { status: null, died, reason };
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
    rmSync(work, { recursive: true, force: true });
    for (const file of [exitFile, alive]) rmSync(file, { force: true });
  }
}
