import type { FFIFunction } from "bun:ffi";

export const LIBBPF = "libbpf.so.1";

/**
 * The symbols that every load needs, all in libbpf 1.1 (Debian 12), as those below are. A single missing symbol makes the table
 * unusable.
 */
export const LIBBPF_SYMBOLS = {
  bpf_map__fd: { args: ["ptr"], returns: "i32" },
  bpf_map__is_internal: { args: ["ptr"], returns: "bool" },
  bpf_map__name: { args: ["ptr"], returns: "ptr" },
  bpf_map__set_pin_path: { args: ["ptr", "ptr"], returns: "i32" },
  bpf_object__close: { args: ["ptr"], returns: "void" },
  bpf_object__find_program_by_name: { args: ["ptr", "ptr"], returns: "ptr" },
  bpf_object__load: { args: ["ptr"], returns: "i32" },
  bpf_object__next_map: { args: ["ptr", "ptr"], returns: "ptr" },
  bpf_object__next_program: { args: ["ptr", "ptr"], returns: "ptr" },
  bpf_object__open_mem: { args: ["ptr", "u64", "ptr"], returns: "ptr" },
  bpf_program__fd: { args: ["ptr"], returns: "i32" },
  bpf_program__section_name: { args: ["ptr"], returns: "ptr" },
  bpf_program__set_autoload: { args: ["ptr", "bool"], returns: "i32" },
  bpf_program__set_expected_attach_type: { args: ["ptr", "i32"], returns: "i32" },
  bpf_program__set_log_buf: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  bpf_program__set_log_level: { args: ["ptr", "u32"], returns: "i32" },
  bpf_program__set_type: { args: ["ptr", "i32"], returns: "i32" },
  libbpf_set_print: { args: ["ptr"], returns: "ptr" },
} as const satisfies Record<string, FFIFunction>;

/** What few loads need: each symbol that is looked up costs 16,000 instructions. */
export const RARE_LIBBPF_SYMBOLS = {
  bpf_map__initial_value: { args: ["ptr", "ptr"], returns: "ptr" },
  bpf_map__map_flags: { args: ["ptr"], returns: "u32" },
  bpf_map__reuse_fd: { args: ["ptr", "i32"], returns: "i32" },
  bpf_map__set_autocreate: { args: ["ptr", "bool"], returns: "i32" },
  bpf_map__set_map_flags: { args: ["ptr", "u32"], returns: "i32" },
  bpf_map__set_max_entries: { args: ["ptr", "u32"], returns: "i32" },
  bpf_program__flags: { args: ["ptr"], returns: "u32" },
  bpf_program__set_attach_target: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  bpf_program__set_flags: { args: ["ptr", "u32"], returns: "i32" },
  bpf_program__type: { args: ["ptr"], returns: "u32" },
  btf__find_by_name_kind: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  btf__free: { args: ["ptr"], returns: "void" },
  btf__load_from_kernel_by_id: { args: ["u32"], returns: "ptr" },
  libbpf_register_prog_handler: { args: ["ptr", "i32", "i32", "ptr"], returns: "i32" },
  libbpf_strerror: { args: ["i32", "ptr", "u64"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;

/**
 * Looked up separately, so that the version of a libbpf too old for the required table can be reported. Since libbpf
 * 0.6.
 */
export const VERSION_SYMBOLS = {
  libbpf_version_string: { args: [], returns: "ptr" },
} as const satisfies Record<string, FFIFunction>;
