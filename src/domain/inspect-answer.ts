/** What an object contains, as JSON: read from its bytes alone. */
export interface InspectedProgramAnswer {
  readonly name: string;
  readonly section: string;
  /** The kernel's type, as in lists of programs; null if the section says nothing. */
  readonly type: string | null;
  /** What it attaches to, as far as its section says: `sys_enter_openat`. */
  readonly target: string | null;
  /** bpfman's type, to name in `load`; null if the section says nothing. */
  readonly load_as: string | null;
}

export interface InspectedMapAnswer {
  readonly name: string;
  readonly type: string;
  /** Bytes; null where the kernel decides. */
  readonly key_size: number | null;
  readonly value_size: number | null;
  /** The types in C; null where the object does not say. */
  readonly key_type: string | null;
  readonly value_type: string | null;
  /** Null or 0 where the loader decides. */
  readonly max_entries: number | null;
  readonly flags: number;
  readonly pinning: "none" | "by_name";
  /** The maps in a map of maps. */
  readonly inner: Omit<InspectedMapAnswer, "name" | "pinning" | "key_type" | "value_type" | "inner"> | null;
}

export interface InspectedGlobalAnswer {
  readonly name: string;
  readonly section: string;
  /** Bytes. */
  readonly size: number;
  /** Null without BTF. */
  readonly type: string | null;
  /** By its type; two hex digits for each byte without one; null if it is too large to show. Integers beyond 2⁵³ are strings. */
  readonly value: unknown;
}

export interface ObjectInspectAnswer {
  /** As it was given; null for an image. */
  readonly path: string | null;
  readonly image: { readonly reference: string; readonly digest: string; readonly file: string } | null;
  readonly byte_order: "little" | "big";
  readonly license: string | null;
  readonly gpl_compatible: boolean;
  readonly btf: boolean;
  /** Instructions can be traced to lines of source. */
  readonly line_info: boolean;
  readonly programs: readonly InspectedProgramAnswer[];
  readonly maps: readonly InspectedMapAnswer[];
  readonly globals: readonly InspectedGlobalAnswer[];
  /** What it takes from the kernel. Without an optional one, it loads all the same. */
  readonly externs: readonly {
    readonly name: string;
    readonly kind: "function" | "variable" | "kconfig";
    readonly optional: boolean;
  }[];
  /** What the kernel must have for all programs and maps to load, and since which version of Linux it has. */
  readonly requires: readonly { readonly feature: string; readonly since: string }[];
}
