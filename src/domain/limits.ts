/** Every bound of the program in one place: a name, a unit at its end, and the reason. */

/** Largest object file read. The largest objects in the field are a few MiB. */
export const OBJECT_BYTES_MAX = 16 * 1024 * 1024;
/** Largest priority in the classic grammar; the reference documents 1-1000, zero is allowed as well. */
export const PRIORITY_MAX = 1000;
/** Largest priority in requests and in the noun-verb grammar: newer bpfman takes any int32 that is not negative. */
export const PRIORITY_WIDE_MAX = 0x7fff_ffff;
/** Programs in one `load`: several times what the largest objects in the field hold, small enough to bound the work. */
export const PROGRAMS_PER_LOAD_MAX = 1024;
/** Keys of a map of maps under which one is looked for. */
export const MAP_KEYS_MAX = 256;
/** Members, elements and so on of one type whose layout is compared. */
export const LAYOUT_PARTS_MAX = 4096;
/** Entries of a map: max_entries is a u32. */
export const MAP_ENTRIES_MAX = 0xffff_ffff;
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
/** Types inside of one BTF type by value; the kernel takes 32, and the deepest of its own have half as many. */
export const BTF_NESTING_MAX = 64;
/** Values of the kernel's configuration in one object file, in bytes; libbpf keeps offsets of them in 32 bits. */
export const KCONFIG_BYTES_MAX = 64 * 1024;
/** Variables and functions of the kernel that one object file names; a program may use 256 functions. */
export const EXTERNS_MAX = 1024;
/** Functions of .text in one object file: libbpf follows calls by recursion. A program may have 256. */
export const TEXT_FUNCTIONS_MAX = 4096;
/** Names that libbpf compares while it opens an object, for each of these it goes through all of those: ten seconds. */
export const LIBBPF_LOOKS_MAX = 2_000_000_000;
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
/** Entries of the change log; older ones go. A step of the schema has it, so a new value takes a new step. */
export const CHANGES_MAX = 4096;
/** Largest record kept with an entry of the change log. */
export const CHANGE_RECORD_BYTES_MAX = 64 * 1024;
/** Entries of the change log that are read at a time. */
export const CHANGES_PER_READ_MAX = 256;
/** Largest frame of the JSON-RPC server: an object file as base64 does not belong in one, everything else is small. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** Header of a frame; clients send some 30 bytes. */
export const HEADER_BYTES_MAX = 8 * 1024;
/** Objects and arrays within each other in a frame; no request has more than six. */
export const JSON_DEPTH_MAX = 64;
/** Messages in a JSON-RPC batch. */
export const BATCH_MESSAGES_MAX = 1024;
/** Characters of a request's id that is a string. */
export const REQUEST_ID_CHARS_MAX = 1024;
/** Names that a hint lists of what there is: a screen of them, also where there are thousands. */
export const LISTED_NAMES_MAX = 40;
/** Characters of a wrong value, or of the path to it, that an error repeats. */
export const WRONG_VALUE_CHARS_MAX = 512;
/** Requests of one session that are under way; beyond that no more is read until some are answered. */
export const REQUESTS_IN_FLIGHT_MAX = 256;
/** Bytes that wait for a client to read them from which on notifications are dropped. */
export const NOTIFICATION_BACKLOG_BYTES_MAX = 1024 * 1024;
/** The same for replies, which are never dropped: no more requests are read until the client has caught up. */
export const REPLY_BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** How long replies wait at the end of a session for a client that has stopped reading. */
export const LAST_REPLIES_TIMEOUT_MS = 10_000;
/** How often it is looked whether the process that a session belongs to is still there. */
export const PARENT_POLL_MS = 250;
/** How often the database is looked at for changes of others when nothing says that there are any. */
export const CHANGES_POLL_MS = 1000;
/** The same while nothing can say so: the folder of the database is not there yet. */
export const CHANGES_POLL_UNWATCHED_MS = 100;
/** Length of an image's reference: name, tag and digest each have less. */
export const IMAGE_REFERENCE_CHARS_MAX = 512;
/** Largest Containerfile. */
export const CONTAINER_FILE_BYTES_MAX = 1024 * 1024;
/** What is kept of a container tool's output for the report of its failure, in lines. */
export const TOOL_LINES_KEPT = 20;
/** One line of a container tool's output, in characters; a longer one is shown in pieces. */
export const TOOL_LINE_CHARS_MAX = 16_384;
/** How long a container tool that was told to stop may take to clean up after itself. */
export const TOOL_STOP_TIMEOUT_MS = 10_000;
/** Length of an image's name, registry and path, in characters (distribution/reference). */
export const IMAGE_NAME_CHARS_MAX = 255;
/** Largest manifest or index: what registries take (OCI distribution spec, "pushing manifests"). */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Largest configuration of an image; those of bytecode images have a few KiB. */
export const IMAGE_CONFIG_BYTES_MAX = 1024 * 1024;
/** Largest packed layer: twice the largest object file. */
export const LAYER_BYTES_MAX = 32 * 1024 * 1024;
/** Largest unpacked layer: what a decompression bomb may cost in memory. */
export const LAYER_TAR_BYTES_MAX = 64 * 1024 * 1024;
/** Files and folders in one layer; a bytecode image has one. */
export const LAYER_ENTRIES_MAX = 1024;
/** Entries of an index, and layers of a manifest. */
export const IMAGE_ENTRIES_MAX = 1024;
/** What is read of a registry's answer that is no content: errors, tokens, lists. */
export const REGISTRY_TEXT_BYTES_MAX = 256 * 1024;
/** How long a registry may say nothing, before its answer and between two pieces of it. */
export const REGISTRY_IDLE_TIMEOUT_MS = 30_000;
/** How long one answer may take in all, its retries included. */
export const REGISTRY_TOTAL_TIMEOUT_MS = 600_000;
/** How often a request is sent when the registry is overloaded or the connection breaks. */
export const REGISTRY_ATTEMPTS_MAX = 4;
/** The first pause between two attempts; each further one is three times as long. */
export const REGISTRY_PAUSE_MS = 250;
/** The longest pause that a registry may ask for (Retry-After). */
export const REGISTRY_PAUSE_MAX_MS = 30_000;
/** Redirects followed for one request. */
export const REGISTRY_REDIRECTS_MAX = 5;
/** Largest file of credentials. */
export const AUTH_FILE_BYTES_MAX = 1024 * 1024;
/** How long a credential helper may take; some ask a cloud. */
export const CREDENTIAL_HELPER_TIMEOUT_MS = 30_000;
/** Images behind an index that are looked into for `image inspect`; each takes two requests. */
export const INSPECTED_ENTRIES_MAX = 64;
/** Length of an image reference and of a registry's credentials taken from outside, in characters. */
export const REGISTRY_FIELD_CHARS_MAX = 16_384;
/** Functions of one program, with all that it calls: what the kernel allows (BPF_MAX_SUBPROGS). */
export const SUBPROGRAMS_MAX = 256;
/** Instructions of one program with all that it calls: what the kernel allows (BPF_COMPLEXITY_LIMIT_INSNS). */
export const PROGRAM_INSTRUCTIONS_MAX = 1_000_000;
/** A line of C, or the path of its file, as the compiler wrote it into an object. */
export const SOURCE_TEXT_BYTES_MAX = 65_536;
/** Signatures looked at for one image; more than a handful of signers is rare. */
export const SIGNATURES_PER_IMAGE_MAX = 64;
/** Manifests opened among those that refer to an image: signatures, attestations, lists of parts. */
export const REFERRERS_PER_IMAGE_MAX = 256;
/** Largest payload or bundle of a signature; those of cosign have a few KiB. */
export const SIGNATURE_BYTES_MAX = 1024 * 1024;
/** Largest public key file; RSA with 16,384 bits has 3 KiB. */
export const KEY_FILE_BYTES_MAX = 64 * 1024;
/** Largest trusted root file; the public one has 7 KiB. */
export const TRUST_ROOT_BYTES_MAX = 4 * 1024 * 1024;
/** Trusted identities, and trusted keys. */
export const TRUSTED_SIGNERS_MAX = 256;
/** Length of an identity, an issuer, or a regular expression for one, in characters. */
export const IDENTITY_CHARS_MAX = 2048;
/** How long one answer of the trust root's server may take. */
export const TRUST_ROOT_TIMEOUT_MS = 5_000;
/** How often a request for the trust root is tried again. */
export const TRUST_ROOT_RETRIES = 1;
