/** Boots an unpacked kernel under QEMU's software emulation, with this machine's root folder as the guest's. */
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
import type { UnpackedKernel } from "./kernels.ts";
import { run } from "./run.ts";

/** What the shared root needs, in order of insertion, where the kernel has it as modules. */
const ROOT_MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "fuse",
  "virtiofs",
];
/** Of package qemu-system-common, and since Debian 13 of one of its own; both take the same options. */
const VIRTIOFSD = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"];
const SOCKET_WAIT_MS = 5_000;
/** A boot takes some ten seconds, on a machine that does nothing else; one that takes this long has hung. */
const BOOT_LIMIT_MS = 3 * 60_000;
/** The script shows every 20 seconds that its machine lives (scripts/vm.ts); one that has not for so long has died. */
const SILENCE_LIMIT_MS = 3 * 60_000;
const SILENCE_CHECK_MS = 10_000;
const MEMORY = "2G";
/**
 * All that the emulation can do, but for what makes it slow: string instructions, which it runs byte by byte, a fifth
 * level of page tables, and waiting with mwait, which keeps a whole processor busy; and for cx16, with which an early
 * double fault was seen.
 */
const CPU = "max,-cx16,-erms,-fsrm,-la57,-monitor";
/** With two, the emulation is not faster, and lets one run code that the other is changing: kernels died of that. */
const PROCESSORS = "1";
/** Hardening of the kernel that costs time under emulation, and is not what is tested. */
const SPEED = "mitigations=off init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off";

/** How a machine ended: with its script's exit code, or how else. One that died may be started again. */
export type BootResult =
  | { readonly status: number }
  | { readonly status: null; readonly died: boolean; readonly reason: string };

/** Line that the script prints first, so that a failed boot can be told from a failed test. */
export const BEGIN_MARK = "vm: begin";

/** The file that the script touches as long as its machine lives. */
export const signOfLife = (script: string): string => `${script}.alive`;

const secondsOf = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;

function makeInitrd(kernel: UnpackedKernel, work: string): string {
  const root = join(work, "initrd");
  for (const folder of ["bin", "proc", "newroot", "modules"]) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
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

/** What a machine is made with, and this one lacks; null when all is there. */
export function missingTool(): string | null {
  const tools = ["qemu-system-x86_64", "cpio", "busybox", "depmod", "xz"];
  const missing = tools.find((tool) => Bun.which(tool) === null);
  if (missing !== undefined) return missing;
  return VIRTIOFSD.some((path) => existsSync(path)) ? null : "virtiofsd";
}

/** Copies the console to `print`, line by line, from the script's first line on; of that `begun` is told. */
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
 * Runs `script` with bash as root in the guest, whose /tmp and /run are empty but for the `folders` that it needs of
 * this machine.
 */
export async function boot(
  kernel: UnpackedKernel,
  options: {
    readonly script: string;
    readonly folders: readonly string[];
    readonly timeoutMs: number;
    readonly print: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<BootResult> {
  const work = mkdtempSync(join(tmpdir(), "bpfman-vm-"));
  const exitFile = `${options.script}.exit`;
  const alive = signOfLife(options.script);
  const socket = join(work, "fs.sock");
  const append = [
    `console=ttyS0 panic=-1 quiet audit=0 ${SPEED} lsm=landlock,lockdown,yama,bpf`,
    ...[`vm.script=${options.script}`, `vm.exit=${exitFile}`],
    ...options.folders.filter((folder) => /^\/(tmp|run)\//.test(folder)).map((folder) => `vm.keep=${folder}`),
  ].join(" ");
  for (const file of [exitFile, alive]) rmSync(file, { force: true });
  const children: Bun.Subprocess[] = [];
  try {
    const initrd = makeInitrd(kernel, work);
    const daemon = [
      VIRTIOFSD.find((path) => existsSync(path)) ?? "virtiofsd",
      `--socket-path=${socket}`,
      ...["-o", "source=/", "-o", "sandbox=chroot"],
      // With a cache that is dropped at each open, memory changes hands behind the emulation's back: it runs stale code.
      ...["-o", "cache=always"],
      // It keeps each file open that the guest has looked at: listing a large folder must not count as looking at all of it.
      ...["-o", "no_readdirplus"],
    ];
    children.push(Bun.spawn(daemon, { stdin: "ignore", stdout: "ignore", stderr: Bun.file(join(work, "fs.log")) }));
    await waitFor(socket);
    const qemu = Bun.spawn(
      [
        // Also when this process is killed itself.
        ...["setpriv", "--pdeathsig", "KILL"],
        ...["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", PROCESSORS, "-m", MEMORY],
        ...["-object", `memory-backend-memfd,id=mem,size=${MEMORY},share=on`, "-numa", "node,memdev=mem"],
        ...["-chardev", `socket,id=fs,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=fs,tag=hostroot"],
        ...["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"],
        ...["-kernel", kernel.image, "-initrd", initrd, "-append", append],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    );
    children.push(qemu);
    let reason = "the machine stopped before the end";
    let died = true;
    const stop = () => qemu.kill("SIGKILL");
    const stopFor = (why: string, fault: "machine" | "script") => {
      reason = why;
      died = fault === "machine";
      stop();
    };
    const timers = [
      setTimeout(() => stopFor(`no script began within ${secondsOf(BOOT_LIMIT_MS)}`, "machine"), BOOT_LIMIT_MS),
    ];
    const watch = () => {
      clearTimeout(timers.shift());
      const beganAt = Date.now();
      const { timeoutMs } = options;
      timers.push(setTimeout(() => stopFor(`not at its end after ${secondsOf(timeoutMs)}`, "script"), timeoutMs));
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
