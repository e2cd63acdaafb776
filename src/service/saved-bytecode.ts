import { OBJECT_BYTES_MAX } from "../domain/limits.ts";
import type { ProgramRecord } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Host } from "../platform/host.ts";

/** Reads bpfman's copy of a program's object file. Throws FILE_NOT_FOUND, FILE_UNREADABLE also if it is not what was loaded. */
export function savedBytecode(
  host: Host,
  { bytecodePath: path, bytecodeDigest: digest }: Pick<ProgramRecord, "bytecodePath" | "bytecodeDigest">,
): Uint8Array {
  const bytes = host.files.readObject(path, OBJECT_BYTES_MAX);
  if (digest === null || host.files.digest(bytes) === digest) return bytes;
  throw new BpfmanError("FILE_UNREADABLE", `read "${path}": it is not what was loaded`, {
    details: { path, digest },
    hint: '"bpfman doctor" says which programs it concerns, and what to do',
  });
}
