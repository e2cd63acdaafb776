import type { ProgramType } from "./kinds.ts";

/** The contents of an eBPF object file (ELF, e_machine 247), read from its bytes alone. */
export interface ObjectFile {
  readonly byteOrder: "little" | "big";
  /** Content of section `license`; null if there is none. */
  readonly license: string | null;
  readonly programs: readonly ObjectProgram[];
  readonly maps: readonly ObjectMap[];
  readonly globals: readonly ObjectGlobal[];
  readonly hasBtf: boolean;
  readonly hasBtfExt: boolean;
}

/** A function in an executable section that is an entry point (global, or the only one in its section). */
export interface ObjectProgram {
  readonly name: string;
  /** Section name as written, e.g. `kretprobe/do_unlinkat`, `xdp.frags`, `?tc`. */
  readonly section: string;
  /** The kind the section name implies; null if its prefix belongs to no type that bpfman manages. */
  readonly kind: ProgramType | null;
  /** The part of the section name after the prefix (`do_unlinkat`); null if there is none. */
  readonly target: string | null;
}

export interface ObjectMap {
  readonly name: string;
  /** BPF_MAP_TYPE_* number (include/uapi/linux/bpf.h). */
  readonly type: number;
  /** Bytes; null if the definition does not specify a size (kernel-typed maps). */
  readonly keySize: number | null;
  readonly valueSize: number | null;
  readonly maxEntries: number | null;
  readonly flags: number;
  /** map_extra: what it means depends on the type. */
  readonly extra: number;
  /** Declared with LIBBPF_PIN_BY_NAME. */
  readonly pinByName: boolean;
  /** Definition of the inner map of a map-in-map. */
  readonly inner: ObjectMap | null;
}

/** A global variable in .rodata*, .data* or .bss*. */
export interface ObjectGlobal {
  readonly name: string;
  /** Section name, by which the loader finds the map that holds it. */
  readonly section: string;
  /** Bytes from the start of the section. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** An instruction of a program as passed to the kernel, and the source line it was compiled from. */
export interface SourceLine {
  /** Index from the program's first instruction, including called functions, as in the verifier log. */
  readonly instruction: number;
  /** The function that contains it, after inlining. */
  readonly function: string;
  /** The path given to the compiler. Null, like the fields below, if the object was compiled without -g. */
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** From 1, in bytes; null if the compiler does not record it. */
  readonly column: number | null;
  /** The text of the line. */
  readonly text: string | null;
}
