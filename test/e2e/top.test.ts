/** The screen of `top` in a terminal of 80 columns and 24 rows, and what becomes of that terminal. */
import { expect, test } from "bun:test";
import { executable } from "../labs/executable.ts";
import { sh, until } from "../labs/kernel-lab.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { toLoad } from "../objects/bpf-fixture.ts";

const bpfman = executable();
const tmux = Bun.which("tmux");
let begun = 0;
/** Of a server of one's own for each terminal: one that has been told to end takes a moment. */
const socket = (): string => bpfman.path(`tmux-${begun}`);
const inTmux = (...words: readonly string[]): string => sh("tmux", "-S", socket(), ...words);
const type = (...keys: readonly string[]): string => inTmux("send-keys", "-t", "top", ...keys);
/** What is on the screen, without blanks at the ends of lines. */
const screen = (): string => inTmux("capture-pane", "-p", "-t", "top");

cleanUpAfterEach(() => {
  if (tmux !== null) Bun.spawnSync(["tmux", "-S", socket(), "kill-server"], { stderr: "ignore" });
});

const terminalTest = (name: string, run: () => Promise<void>): void =>
  test.skipIf(tmux === null)(tmux === null ? `${name} (skipped: tmux is not installed)` : name, run);

/** A shell in a fresh terminal, in which `top` has begun to measure. */
async function begin(...words: readonly string[]): Promise<void> {
  begun++;
  // No configuration of the user's, and a status line less.
  sh(
    "tmux",
    "-S",
    socket(),
    "-f",
    "/dev/null",
    "new-session",
    "-d",
    "-s",
    "top",
    "-x",
    "80",
    "-y",
    "24",
    "env PS1='ready> ' bash --norc --noprofile",
  );
  inTmux("set-option", "-g", "status", "off");
  inTmux("resize-window", "-t", "top", "-x", "80", "-y", "24");
  await until(() => screen().includes("ready>"));
  // One's own path, as a word for the shell.
  type(
    `clear; stty -g >${bpfman.path("before")}; ${bpfman.command("top", ...words).join(" ")}; echo "ended $?"; stty -g >${bpfman.path("after")}`,
    "Enter",
  );
  await until(() => screen().includes("Program ID"));
}

/** `top` has ended with that code, and the terminal is what it was. */
async function ended(code: number): Promise<void> {
  await until(() => screen().includes(`ended ${code}`));
  type("echo vis''ible", "Enter");
  await until(() => screen().includes("visible\nready>"));
  expect(screen()).not.toContain("Program ID");
  expect(inTmux("display-message", "-p", "-t", "top", "#{alternate_on} #{cursor_flag}").trim()).toBe("0 1");
  expect(await Bun.file(bpfman.path("after")).text()).toBe(await Bun.file(bpfman.path("before")).text());
  inTmux("kill-server");
}

terminalTest("shows programs sorted by what is asked for, fits into 80 columns and 24 rows, and quits", async () => {
  // More programs than there are rows.
  const held = await openKernel().load(
    toLoad(
      "chain",
      ...Array.from({ length: 10 }, (_, i) => `xdp:xdp_member_${i}`),
      ...Array.from({ length: 10 }, (_, i) => `tc:tc_member_${i}`),
    ),
  );
  const more = await openKernel().load(toLoad("chain", ...Array.from({ length: 10 }, (_, i) => `xdp:xdp_member_${i}`)));
  try {
    await begin("--interval", "100ms");
    const lines = screen().trimEnd().split("\n");
    expect(lines).toHaveLength(24);
    expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80);
    expect(lines[0]).toMatch(/^ bpfman top {3}\d+ programs, \d+\.\d s, by CPU$/);
    expect(lines[1]).toMatch(/^ Program ID +Owner +Type +Function Name +Runs +Runs\/s +ns\/run +CPU %$/);
    expect(lines[23]).toContain("q quit");
    const ids = () => [...screen().matchAll(/^ (\d+) /gm)].map(([, id]) => Number(id));
    type("i");
    await until(() => screen().includes("by ID"));
    const first = ids();
    expect(first).toEqual(first.toSorted((a, b) => a - b));
    expect(first).toHaveLength(21);
    type("Down", "j");
    await until(() => ids()[0] === first[2]);
    type("k", "Up", "Up");
    await until(() => ids()[0] === first[0]);
    inTmux("resize-window", "-t", "top", "-x", "80", "-y", "12");
    await until(() => screen().trimEnd().split("\n").length === 12 && screen().includes("q quit"));
    type("q");
    await ended(0);
  } finally {
    held.close();
    more.close();
  }
});

terminalTest("restores the terminal after Ctrl-C and after SIGTERM", async () => {
  await begin("--members");
  type("C-c");
  await ended(0);
  await begin();
  const pid = inTmux("display-message", "-p", "-t", "top", "#{pane_pid}").trim();
  const [child] = sh("pgrep", "-P", pid).trim().split("\n");
  process.kill(Number(child), "SIGTERM");
  await ended(130);
});

test("ends when its terminal goes, and without one says what to do instead", async () => {
  const decoder = new TextDecoder();
  let shown = "";
  const data = (_: unknown, bytes: Uint8Array): void => {
    shown += decoder.decode(bytes, { stream: true });
  };
  const child = Bun.spawn(bpfman.command("top", "--interval", "1h"), {
    env: { PATH: process.env.PATH ?? "", TERM: "xterm" },
    terminal: { cols: 80, rows: 24, data },
  });
  await until(() => shown.includes("measuring"));
  child.terminal?.close();
  await child.exited;

  const failure = await bpfman.run("top");
  expect([failure.code, failure.out]).toEqual([5, ""]);
  expect(failure.error).toContain("standard input or output is not a terminal");
  expect(failure.error).toContain('"bpfman stats"');
  await bpfman.refused(2, "USAGE", "top");
});
