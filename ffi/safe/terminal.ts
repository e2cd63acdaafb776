import { addressOf, allocate, keepAlive } from "../memory.ts";
import { syscall } from "./libc.ts";

/** include/uapi/asm-generic/ioctls.h */
const TIOCGWINSZ = 0x5413;
/** struct winsize (include/uapi/asm-generic/termios.h): rows, columns, and two sizes in pixels, 16 bits each. */
const WINSIZE_BYTES = 8;

/**
 * Returns the width of the terminal behind `fd` in columns; null if it is not a terminal or has no size. ioctl_tty(2)
 */
export function terminalColumns(fd: number): number | null {
  const size = allocate(WINSIZE_BYTES);
  const result = syscall("ioctl", fd, TIOCGWINSZ, addressOf(size));
  keepAlive(size);
  const columns = new Uint16Array(size.buffer)[1] ?? 0;
  return result < 0 || columns === 0 ? null : columns;
}
