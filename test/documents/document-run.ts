/** Runs the commands of a document as a reader would: one after the other, as root, on an interface eth0. */
import { expect } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Block, blocksOf, isRun, needsOf, patternOf, shownOf } from "./document.ts";
import type { PublicServices } from "../servers/public-services.ts";

const ROOT = resolve(import.meta.dir, "../..");

/** Where a document is run. */
export interface Surroundings {
  /** What blocks may need, and whether it is there. */
  readonly has: Readonly<Record<string, boolean>>;
  /** Path of a namespace that has eth0 with 10.99.0.1; 10.99.0.2 answers on its other side. */
  readonly netns: string;
  readonly services?: PublicServices;
}

export interface DocumentRun {
  readonly code: number;
  readonly output: string;
  /** Output of each block that was run, by its line, without blanks at line ends. */
  readonly printed: ReadonlyMap<number, string>;
}

/** `! COMMAND` must fail: bash would let it succeed without a word. */
const refusals = (text: string): string =>
  text.replaceAll(
    /^! (.*)$/gm,
    (_, command: string) => `if ${command}; then echo "succeeded: ${command.replaceAll('"', "")}"; exit 1; fi`,
  );

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string }[] }>>;
}

/** The commands of a workflow, each in a shell of its own, as GitHub's runners do it. */
function stepsOf(text: string): string {
  const { jobs } = Bun.YAML.parse(text) as Workflow;
  const steps = Object.values(jobs).flatMap((job) => job.steps.flatMap(({ run }) => (run === undefined ? [] : [run])));
  return steps.map((run) => `bash -e <<'END_OF_STEP'\n${run}\nEND_OF_STEP\n`).join("");
}

const commandsOf = ({ language, text }: Block): string => (language === "yaml" ? stepsOf(text) : refusals(text));

const hasAll = (block: Block, has: Surroundings["has"]): boolean => needsOf(block).every((need) => has[need] === true);

const marker = (path: string, line: number): string => `== ${path}:${line}`;

/** The document as a script: files are written where the text says so, commands run in between. */
function scriptOf(path: string, has: Surroundings["has"]): string {
  const parts = ["set -euo pipefail", "exec 2>&1"];
  for (const block of blocksOf(path)) {
    const { file } = block.attributes;
    if (file !== undefined) {
      parts.push(`mkdir -p "$(dirname ${file})"`, `cat >${file} <<'END_OF_FILE'`, `${block.text}END_OF_FILE`);
    } else if (isRun(block) && hasAll(block, has)) {
      parts.push(`printf '\\n%s\\n' '${marker(path, block.line)}'`, commandsOf(block));
    }
  }
  return `${parts.join("\n")}\n${NOTHING_LEFT}`;
}

/** They clean up what they made. */
const NOTHING_LEFT = `
left=$(bpfman program list)
[ -z "$left" ] || { printf '%s\n' "the document leaves programs loaded:" "$left"; exit 1; }
`;

/** Directories that are the document's own while it runs, in a mount namespace that goes with it. */
const AROUND = `
set -euo pipefail
# As on a machine: what serves there wants that nobody else can write to it.
mount -t tmpfs -o mode=755 tmpfs /run
# dpkg's list of what is installed stays to be seen.
mkdir "$DOCUMENT_DIRECTORY/dpkg"
[ ! -d /var/lib/dpkg ] || mount --bind -o ro /var/lib/dpkg "$DOCUMENT_DIRECTORY/dpkg"
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/dpkg
mount --rbind "$DOCUMENT_DIRECTORY/dpkg" /var/lib/dpkg
mount -t tmpfs tmpfs /var/cache
mount -t tmpfs tmpfs /usr/local
cp -a /etc "$DOCUMENT_DIRECTORY/etc"
mount --bind "$DOCUMENT_DIRECTORY/etc" /etc
mkdir -p /usr/local/bin /usr/local/sbin
if [ -n "\${DOCUMENT_SERVICES-}" ]; then
  cat "$DOCUMENT_SERVICES/hosts" >>/etc/hosts
  cat "$DOCUMENT_SERVICES/authority.pem" >>/etc/ssl/certs/ca-certificates.crt
  cosign initialize --mirror https://tuf.example.com --root "$DOCUMENT_SERVICES/root.json" >/dev/null
fi
cd "$DOCUMENT_DIRECTORY/work"
exec bash "$DOCUMENT_DIRECTORY/script.sh"
`;

/** What stands in for programs that cannot do their work in a test. */
const STAND_INS = {
  systemctl: `# No systemd runs in a test: does what the units named say, as systemctl would have systemd do it.
verb=$1
# What a restart leaves of the document's directories, in a boot with another ID.
if [ "$verb" = reboot ]; then
  umount /run/bpfman/fs
  rm -r /run/bpfman
  cat /proc/sys/kernel/random/uuid >"$DOCUMENT_DIRECTORY/boot_id"
  mount --bind "$DOCUMENT_DIRECTORY/boot_id" /proc/sys/kernel/random/boot_id
fi
for unit in "\${@:2}"; do
  [ "$unit" = --now ] && verb=start && continue
  case $verb in
    start) key=ExecStart ;;
    stop) key=ExecStop ;;
    *) exit 0 ;;
  esac
  sed -n "s/^$key=//p" "/etc/systemd/system/$unit" | while read -r command; do bash -c "$command"; done
done
`,
  "apt-get": `# Tests change nothing of the machine's: what is to be installed must be there.
for word in "\${@:2}"; do
  case $word in -*) ;; *) dpkg-query -W -f '\${Package} is there\\n' "$word" ;; esac
done
`,
  sudo: `# The test is root, and may be on a machine without sudo.
exec "$@"
`,
};

export async function runDocument(path: string, { has, netns, services }: Surroundings): Promise<DocumentRun> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-document-")));
  const inDirectory = (...names: readonly string[]): string => join(directory, ...names);
  try {
    for (const name of ["work", "bin"]) mkdirSync(inDirectory(name));
    for (const name of ["dist", "examples", "src", "node_modules"])
      symlinkSync(join(ROOT, name), inDirectory("work", name));
    // Where a workflow checks the project out.
    symlinkSync(ROOT, inDirectory("work/bpfman"));
    symlinkSync(join(ROOT, "dist/bpfman"), inDirectory("bin/bpfman"));
    for (const [name, text] of Object.entries(STAND_INS))
      writeFileSync(inDirectory("bin", name), `#!/bin/bash\nset -euo pipefail\n${text}`, { mode: 0o755 });
    if (services !== undefined) symlinkSync(services.cosign, inDirectory("bin/cosign"));
    writeFileSync(inDirectory("script.sh"), scriptOf(path, has));
    writeFileSync(inDirectory("around.sh"), AROUND);
    const words = ["unshare", "--mount", "--propagation", "private", "bash", inDirectory("around.sh")];
    const child = Bun.spawn(["nsenter", `--net=${netns}`, ...words], {
      env: {
        ...services?.env,
        ...(services === undefined ? {} : { DOCUMENT_SERVICES: services.directory }),
        PATH: `${directory}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
        HOME: directory,
        DOCUMENT_DIRECTORY: directory,
        TERM: "dumb",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, output: `${error}${out}`, printed: byBlock(path, out) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function byBlock(path: string, output: string): Map<number, string> {
  const [, ...parts] = output.replaceAll(/ +$/gm, "").split(marker(path, Number.NaN).replace("NaN", ""));
  return new Map(
    parts.map((part) => {
      const end = part.indexOf("\n");
      return [Number(part.slice(0, end)), part.slice(end + 1)];
    }),
  );
}

/** It was run to its end, and what it says is printed is what was printed. */
export function expectTrue(path: string, { code, output, printed }: DocumentRun, has: Surroundings["has"]): void {
  if (code !== 0) throw new Error(`${path}:\n${output}\nended with exit code ${code}`);
  for (const { shown, by } of shownOf(path)) {
    const text = by === null ? undefined : printed.get(by.line);
    // Commands that need what is not here have printed nothing.
    if (text === undefined || !hasAll(shown, has)) continue;
    expect({ line: shown.line, text }).toEqual({ line: shown.line, text: expect.stringMatching(patternOf(shown)) });
  }
}
