import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { type Btf, btfOf } from "../../object/btf.ts";
import { readMapTypes } from "../../object/maps.ts";
import { openForLibbpf } from "../../object/object-file.ts";
import type { Host } from "../../platform/host.ts";
import { savedBytecode } from "../saved-bytecode.ts";
import type { KnownMap } from "./find-map.ts";

/** Types of keys (0 where nothing is said) and values in BTF. */
interface DeclaredTypes {
  readonly btf: Btf;
  readonly key: number;
  readonly value: number;
}

/**
 * Returns the types that the program declares for a map of which the kernel has none, or shows none: libbpf does not tell
 * it those of queues, maps of maps and others, and it shows BTF only to CAP_SYS_ADMIN. Null if there are none.
 */
export function declaredTypes(host: Host, { id, programs: [program] }: KnownMap): DeclaredTypes | null {
  const btf = program === undefined ? null : btfOfProgram(host, program);
  // Programs that share a map may each have their own name for it.
  const name = program?.maps.find((map) => map.id === id)?.name ?? "";
  const types = btf === null ? undefined : readMapTypes(btf).get(name);
  return btf === null || types === undefined ? null : { btf, key: types.key ?? 0, value: types.value ?? 0 };
}

function btfOfProgram(host: Host, record: ProgramRecord): Btf | null {
  const program = host.kernel.program(record.id);
  const bytes = program && host.kernel.programBtf(program);
  try {
    if (bytes !== null) return btfOf(bytes, (reason) => new BpfmanError("INVALID_OBJECT", reason));
    return openForLibbpf(savedBytecode(host, record)).btf();
  } catch (thrown) {
    // The bytecode is lost or damaged: keys and values can still be shown as bytes.
    if (thrown instanceof BpfmanError) return null;
    throw thrown;
  }
}
