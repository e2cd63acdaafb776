import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { Pin } from "../../src/domain/pin.ts";
import { objectForLibbpf, readObject } from "../../src/object/object-file.ts";
import type { KernelPort, ObjectToLoad, ProgramToLoad } from "../../src/platform/kernel.ts";
import type { ProgramType } from "../../src/domain/kinds.ts";

let built = false;

/** The bytes of a compiled test/fixtures/bpf/NAME.bpf.c. */
export function fixture(name: string): Uint8Array {
  if (!built) buildBpf();
  built = true;
  return readFileSync(resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`));
}

/** `tc:count_packets`, `fentry:traces_entry:do_unlinkat`. */
export function program(selector: string): ProgramToLoad {
  const [type = "", name = "", attachFunction = null] = selector.split(":");
  return { name, type: type as ProgramType, attachFunction };
}

/** A fixture and those of its programs that are to be loaded, as the service asks for it. */
export function toLoad(name: string, ...selectors: readonly string[]): ObjectToLoad {
  const bytes = fixture(name);
  const programs = selectors.map(program);
  const names = programs.map((each) => each.name);
  return {
    ...objectForLibbpf(bytes, readObject(bytes), names),
    name,
    programs,
    globals: [],
    reuse: new Map(),
    alongside: [],
  };
}

/** What is pinned at a path, as it is given to those who have to find just that; anything where nothing is. */
export function pinAt(kernel: KernelPort, path: string): Pin {
  const handle = kernel.openPin(path);
  handle?.close();
  return { path, kind: handle?.kind ?? "program", id: handle?.id ?? 1 };
}
