/** Runs the command blocks of a document, as a reader would: one after the other, as root, on an interface eth0. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** A fenced block: ```` ```sh needs=ext ````, ```` ```c file=counter.bpf.c ````. */
export interface Block {
  readonly language: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  /** Line of its first line in the document, from 1. */
  readonly line: number;
}

export function blocksOf(path: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; attributes: Record<string, string>; lines: string[]; line: number } | null = null;
  for (const [at, line] of readFileSync(join(ROOT, path), "utf8").split("\n").entries()) {
    const fence = /^ *```(.*)$/.exec(line)?.[1];
    if (open === null && fence !== undefined) {
      const [language = "", ...words] = fence.trim().split(/\s+/);
      const attributes = Object.fromEntries(words.map((word) => word.split("=", 2) as [string, string]));
      open = { language, attributes, lines: [], line: at + 2 };
    } else if (open !== null && fence !== undefined) {
      blocks.push({ ...open, text: open.lines.map((each) => `${each}\n`).join("") });
      open = null;
    } else open?.lines.push(line);
  }
  return blocks;
}

/** What a block needs of the kernel, and whether it is there. */
export type Kernel = Readonly<Record<string, boolean>>;

const runs = (block: Block, kernel: Kernel): boolean =>
  block.attributes["run-by"] === undefined &&
  (block.attributes.needs ?? "").split(",").every((need) => need === "" || kernel[need] === true);

/** `! COMMAND` must fail: bash would let it succeed without a word. */
const refusals = (text: string): string =>
  text.replaceAll(
    /^! (.*)$/gm,
    (_, command: string) => `if ${command}; then echo "succeeded: ${command.replaceAll('"', "")}"; exit 1; fi`,
  );

/** The document as a script: files are written where the text says so, commands run in between. */
function scriptOf(path: string, kernel: Kernel): string {
  const parts = ["set -euo pipefail"];
  for (const block of blocksOf(path)) {
    const { file } = block.attributes;
    if (file !== undefined) {
      parts.push(`mkdir -p "$(dirname ${file})"`, `cat >${file} <<'END_OF_FILE'`, `${block.text}END_OF_FILE`);
    } else if (block.language === "sh" && runs(block, kernel)) {
      parts.push(`echo "== ${path}:${block.line}"`, refusals(block.text));
    }
  }
  return `${parts.join("\n")}\n`;
}

/**
 * Folders that are the document's own while it runs, in a mount namespace that goes with it. systemctl does there what the
 * units say, since no systemd runs in a test.
 */
const AROUND = `
set -euo pipefail
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /usr/local
cp -a /etc "$DOCUMENT_FOLDER/etc"
mount --bind "$DOCUMENT_FOLDER/etc" /etc
mkdir -p /usr/local/bin /usr/local/sbin
cd "$DOCUMENT_FOLDER/work"
exec bash "$DOCUMENT_FOLDER/script.sh"
`;

const SYSTEMCTL = `#!/bin/bash
# Runs what the units named say, as systemctl would have systemd do it.
set -euo pipefail
verb=$1
for unit in "\${@:2}"; do
  [ "$unit" = --now ] && verb=start && continue
  case $verb in
    start) key=ExecStart ;;
    stop) key=ExecStop ;;
    *) exit 0 ;;
  esac
  sed -n "s/^$key=//p" "/etc/systemd/system/$unit" | while read -r command; do bash -c "$command"; done
done
`;

export interface DocumentRun {
  readonly code: number;
  /** Everything that was printed, with the place of each block before it. */
  readonly output: string;
}

/** `netns` has eth0 with 10.99.0.1; 10.99.0.2 answers on its other side. */
export async function runDocument(path: string, kernel: Kernel, netns: string): Promise<DocumentRun> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-document-")));
  try {
    for (const name of ["work", "bin"]) mkdirSync(join(folder, name));
    for (const name of ["dist", "examples", "src", "node_modules"])
      symlinkSync(join(ROOT, name), join(folder, "work", name));
    symlinkSync(join(ROOT, "dist/bpfman"), join(folder, "bin/bpfman"));
    writeFileSync(join(folder, "bin/systemctl"), SYSTEMCTL, { mode: 0o755 });
    writeFileSync(join(folder, "script.sh"), scriptOf(path, kernel));
    writeFileSync(join(folder, "around.sh"), AROUND);
    const words = ["unshare", "--mount", "--propagation", "private", "bash", join(folder, "around.sh")];
    const child = Bun.spawn(["nsenter", `--net=${netns}`, ...words], {
      env: {
        PATH: `${folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
        HOME: folder,
        DOCUMENT_FOLDER: folder,
        TERM: "dumb",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, output: `${out}${error}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
