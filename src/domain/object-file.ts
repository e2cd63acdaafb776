import type { ProgramType } from "./kinds.ts";

/** What an eBPF object file (ELF, machine 247) holds, read from its bytes alone. */
export interface ObjectFile {
  readonly byteOrder: "little" | "big";
  /** Content of section `license`; null when there is none. */
  readonly license: string | null;
  readonly programs: readonly ObjectProgram[];
  readonly maps: readonly ObjectMap[];
  readonly globals: readonly ObjectGlobal[];
  readonly hasBtf: boolean;
  readonly hasBtfExt: boolean;
}

/** A function in an executable section that is an entry point (global, or the only one of its section). */
export interface ObjectProgram {
  readonly name: string;
  /** Section name as written, e.g. `kretprobe/do_unlinkat`, `xdp.frags`, `?tc`. */
  readonly section: string;
  /** What the section name says; null when its prefix belongs to no type that bpfman manages. */
  readonly kind: SectionKind | null;
  /** The part of the section name behind the prefix (`do_unlinkat`), null when there is none. */
  readonly target: string | null;
}

/** A type, or `unmanaged` for a libbpf section of a program type that bpfman does not attach (cgroup, lsm, …). */
export type SectionKind = ProgramType | "unmanaged";

export interface ObjectMap {
  readonly name: string;
  /** BPF_MAP_TYPE_* number (include/uapi/linux/bpf.h). */
  readonly type: number;
  /** Bytes; null when the definition does not say (kernel-typed maps). */
  readonly keySize: number | null;
  readonly valueSize: number | null;
  readonly maxEntries: number | null;
  readonly flags: number;
  /** Declared LIBBPF_PIN_BY_NAME. */
  readonly pinByName: boolean;
  /** Shape of the inner map of map-in-map types. */
  readonly inner: ObjectMap | null;
}

/** A global variable in .rodata*, .data* or .bss*. */
export interface ObjectGlobal {
  readonly name: string;
  /** Section name, which is also how the loader finds the map behind it. */
  readonly section: string;
  /** Bytes from the start of the section. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** An instruction of a program as it was handed to the kernel, and the line of source that it was compiled from. */
export interface SourceLine {
  /** Counted from the program's first, functions that it calls included, as the verifier's log counts. */
  readonly instruction: number;
  /** The function in which it stands, after inlining. */
  readonly function: string;
  /** As the compiler was given it; null, as all that follows, when the object was compiled without -g. */
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** From 1, in bytes; null when the compiler does not say. */
  readonly column: number | null;
  /** The line's text. */
  readonly text: string | null;
}
