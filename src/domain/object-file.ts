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

/** A function in an executable section other than .text. */
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
  /** map_extra: what it means depends on the type. */
  readonly extra: number;
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
