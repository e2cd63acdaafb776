/** The terminal as a screen: other contents are kept aside, keys arrive at once, and everything is put back afterwards. */
import type { Screen, ScreenEvents } from "../command.ts";

/** Control sequences (console_codes(4), xterm's control sequences): the other screen, and no cursor on it. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** A terminal that does not know its size. */
const SIZE_DEFAULT = { columns: 80, rows: 24 };

/** Null if stdin or stdout is not a terminal. */
export function openScreen(out: (text: string) => boolean, events: ScreenEvents): Screen | null {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return null;
  let open = true;
  const onData = (bytes: Buffer): void => events.typed(bytes.toString());
  const write = (text: string): void => {
    try {
      if (!out(text)) events.ended();
    } catch {
      // A terminal that was closed cannot be written to, and nobody would read why.
      events.ended();
    }
  };
  stdin.setRawMode(true);
  stdin.on("data", onData);
  stdin.on("end", events.ended);
  stdin.on("error", events.ended);
  stdout.on("resize", events.resized);
  stdin.resume();
  write(ENTER);
  return {
    size() {
      const [columns, rows] = stdout.getWindowSize();
      return { columns: columns || SIZE_DEFAULT.columns, rows: rows || SIZE_DEFAULT.rows };
    },
    draw(lines) {
      const { columns, rows } = this.size();
      const shown = lines.slice(0, rows).map((line) => `${Bun.sliceAnsi(line, 0, columns)}${CLEAR_LINE}`);
      write(`${HOME}${shown.join("\r\n")}${CLEAR_BELOW}`);
    },
    close() {
      if (!open) return;
      open = false;
      stdout.off("resize", events.resized);
      stdin.off("data", onData);
      stdin.pause();
      write(LEAVE);
      stdin.setRawMode(false);
    },
  };
}
