/** Every bound of the program in one place: a name, a unit at its end, and the reason. */

/** Largest object file read. The largest objects in the field are a few MiB. */
export const OBJECT_BYTES_MAX = 16 * 1024 * 1024;
/** Largest priority in the classic grammar; the reference documents 1-1000, zero is allowed as well. */
export const PRIORITY_MAX = 1000;
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
