/** Every bound of the program in one place: a name, a unit at its end, and the reason. */

/** Largest object file read. The largest objects in the field are a few MiB. */
export const OBJECT_BYTES_MAX = 16 * 1024 * 1024;
/** Largest priority in the classic grammar; the reference documents 1-1000, zero is allowed as well. */
export const PRIORITY_MAX = 1000;
/** Largest priority in requests and in the noun-verb grammar: newer bpfman takes any int32 that is not negative. */
export const PRIORITY_WIDE_MAX = 0x7fff_ffff;
/** Programs in one `load`: far above what any object holds, small enough to bound the work. */
export const PROGRAMS_PER_LOAD_MAX = 64;
/** Length of a program, map or variable name taken from outside, in characters. */
export const NAME_CHARS_MAX = 512;
/** Metadata pairs for one program or link. */
export const METADATA_PAIRS_MAX = 256;
/** Length of a metadata key or value, in characters. */
export const METADATA_CHARS_MAX = 4096;
/** Interface names: IFNAMSIZ - 1 (include/uapi/linux/if.h). */
export const INTERFACE_CHARS_MAX = 15;
/** Largest program or link id: ids are u32 in the kernel and in our own table. */
export const ID_MAX = 0xffff_ffff;
/** Verifier log kept for one program: what the kernel allows at most (UINT_MAX >> 8, kernel/bpf/verifier.c). */
export const VERIFIER_LOG_BYTES_MAX = 0xff_ffff;
/** How long `detach` waits for the kernel to really drop a link. */
export const LINK_GONE_TIMEOUT_MS = 5_000;
/** How often an attach is tried again when somebody changes the same TCX hook at the same moment. */
export const TCX_ATTEMPTS_MAX = 16;
/** How long a command waits for the writer lock unless told otherwise. */
export const LOCK_TIMEOUT_DEFAULT_MS = 30_000;
/** How long SQLite waits for another writer. */
export const DATABASE_BUSY_TIMEOUT_MS = 10_000;
/** Programs in one object file, and global variables in one: hundreds of times what the largest in the field have. */
export const OBJECT_ENTRIES_MAX = 16_384;
/** Maps in one object file; a kernel program uses at most 64 (MAX_USED_MAPS). */
export const OBJECT_MAPS_MAX = 1024;
/** Fields in the definition of one map; libbpf knows a dozen. */
export const MAP_FIELDS_MAX = 32;
/** Typedefs, qualifiers and arrays followed from one BTF type, as in libbpf (MAX_RESOLVE_DEPTH). */
export const BTF_DEPTH_MAX = 32;
/** Characters of the licence that count: libbpf hands the kernel no more. */
export const LICENSE_BYTES_MAX = 63;
/** Largest symbol or string table searched for a uprobe's function. */
export const SYMBOL_TABLE_BYTES_MAX = 1024 * 1024 * 1024;
/** Symbols of the name asked for that are looked at; a name has a handful of versions at most. */
export const SYMBOL_CANDIDATES_MAX = 1024;
/** Places of a string table where the name asked for stands, at the end of longer ones as well. */
export const SYMBOL_PLACES_MAX = 1_000_000;
/** Function names offered for "did you mean". */
export const SYMBOL_NAMES_MAX = 100_000;
/** Libraries taken from the dynamic linker's cache; a full desktop has about 4,000. */
export const LINKER_CACHE_ENTRIES_MAX = 32_768;
/** Characters and terms of a `--selector`: far above what anybody types, small enough to bound the work. */
export const SELECTOR_CHARS_MAX = 4096;
export const SELECTOR_TERMS_MAX = 256;
/** Candidates that a completion offers; more than fit on a screen help nobody. */
export const COMPLETIONS_MAX = 1000;
/** Directory entries of /proc and /run/netns looked at for completions. */
export const COMPLETION_ENTRIES_MAX = 100_000;
/** How long `unload` waits for the kernel to free a program that nothing of ours refers to any more. */
export const PROGRAM_GONE_TIMEOUT_MS = 250;
