import * as fs from "node:fs";
import { CONFIG_DEFAULT, type Config } from "../domain/config.ts";
import { BpfmanError } from "../errors/error.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName, ioFailure } from "../errors/sys-failure.ts";

/** Far more than any hand-written file. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/**
 * Reads the configuration file. A missing file gives the defaults unless it is `required`. Throws FILE_NOT_FOUND,
 * FILE_UNREADABLE (also if others can write to the file), and INVALID_CONFIG with line and column.
 */
export async function readConfig(path: string, required: boolean): Promise<Config> {
  const bytes = content(path);
  if (bytes === null) {
    if (!required) return CONFIG_DEFAULT;
    throw new BpfmanError("FILE_NOT_FOUND", `read configuration "${path}": there is no such file`, {
      details: { path },
    });
  }
  // Loaded only if there is a configuration.
  const { parseConfig } = await import("./parse.ts");
  return parseConfig(bytes, path);
}

function content(path: string): Uint8Array | null {
  let fd: number;
  try {
    // O_NONBLOCK, so that a FIFO does not block the command.
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === "ENOENT" || name === "ENOTDIR") return null;
    throw unreadable(path, thrown);
  }
  try {
    const stat = fs.fstatSync(fd);
    requireOwn(
      {
        ...{ action: "read configuration", path, kind: "file", code: "FILE_UNREADABLE" },
        otherwise: "give another --config",
      },
      stat,
    );
    if (stat.size > CONFIG_BYTES_MAX) throw unreadable(path, `it has more than ${CONFIG_BYTES_MAX} bytes`);
    return fs.readFileSync(fd);
  } catch (thrown) {
    throw unreadable(path, thrown);
  } finally {
    fs.closeSync(fd);
  }
}

function unreadable(path: string, reason: unknown): BpfmanError {
  return ioFailure(reason, { action: "read configuration", path, code: "FILE_UNREADABLE" });
}
