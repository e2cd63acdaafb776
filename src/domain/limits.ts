/** All limits of the program in one place. Each name ends in the unit; each comment gives the reason. */

/** Largest object file read. The largest known objects are a few MiB. */
export const OBJECT_BYTES_MAX = 16 * 1024 * 1024;
/** Largest priority in the classic grammar; zero is allowed. */
export const PRIORITY_MAX = 1000;
/** Largest priority in requests and in the noun-verb grammar: newer bpfman accepts any non-negative int32. */
export const PRIORITY_WIDE_MAX = 0x7fff_ffff;
/** Priorities on netfilter hooks: a signed int32, of which the kernel keeps the first and the last (net/netfilter/nf_bpf_link.c). */
export const NETFILTER_PRIORITY_MIN = -0x7fff_ffff;
export const NETFILTER_PRIORITY_MAX = 0x7fff_fffe;
/** How long `restore` waits for interfaces: longer than any of them takes to come. */
export const RESTORE_WAIT_MS_MAX = 3_600_000;
/** How often it looks. */
export const RESTORE_POLL_MS = 200;
/** Programs per `load`: several times what the largest known objects contain, few enough to bound the work. */
export const PROGRAMS_PER_LOAD_MAX = 1024;
/** Keys of a map of maps that are searched for an inner map. */
export const MAP_KEYS_MAX = 256;
/** Parts (members, elements) of one type whose layout is compared. */
export const LAYOUT_PARTS_MAX = 4096;
/** Entries of a map: max_entries is a u32. */
export const MAP_ENTRIES_MAX = 0xffff_ffff;
/** Length of an untrusted program, map or variable name, in characters. */
export const NAME_CHARS_MAX = 512;
/** Metadata pairs per program or link. */
export const METADATA_PAIRS_MAX = 256;
/** Length of a metadata key or value, in characters. */
export const METADATA_CHARS_MAX = 4096;
/** Interface names: IFNAMSIZ - 1 (include/uapi/linux/if.h). */
export const INTERFACE_CHARS_MAX = 15;
/** Alternative interface names: ALTIFNAMSIZ - 1 (include/uapi/linux/if.h). */
export const ALTERNATIVE_NAME_CHARS_MAX = 127;
/** Largest program or link ID: IDs are u32 in the kernel and in bpfman's tables. */
export const ID_MAX = 0xffff_ffff;
/** Verifier log kept per program: the kernel's maximum (UINT_MAX >> 8, kernel/bpf/verifier.c). */
export const VERIFIER_LOG_BYTES_MAX = 0xff_ffff;
/** Largest initial value of a variable that `inspect` shows, in bytes. */
export const INSPECTED_VALUE_BYTES_MAX = 4096;
/** How much more than in a baseline a program may cost: from one instruction to the kernel's limit of a million. */
export const TOLERANCE_PERCENT_MAX = 100_000_000;
/** Files per `check`. */
export const CHECK_FILES_MAX = 256;
/** Verifier logs that one `check` answers in full, in bytes; of later ones, only the end is kept. */
export const CHECK_LOGS_BYTES_MAX = 32 * 1024 * 1024;
/** What is kept of those: enough for a reason and the last of the path. */
export const CHECK_LOG_END_BYTES = 16 * 1024;
/** Lines that led to a refusal: about a screenful. */
export const PATH_LINES_MAX = 24;
/** Largest file of costs that is read: some 100,000 programs. */
export const COSTS_BYTES_MAX = 32 * 1024 * 1024;
/** Largest compilation database; that of a Linux kernel is about 12 MiB. */
export const COMPILATION_DATABASE_BYTES_MAX = 64 * 1024 * 1024;
/** Address space of a compiler: several times what the largest generated sources take. */
export const COMPILER_MEMORY_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** Processor time of a compiler. */
export const COMPILER_SECONDS_MAX = 120;
/** How long a compiler may take. */
export const COMPILER_TIMEOUT_MS = 300_000;
/** Largest file that a compiler may write. */
export const COMPILER_FILE_BYTES_MAX = 64 * 1024 * 1024;
/** What is kept of a compiler's messages. */
export const COMPILER_OUTPUT_BYTES_MAX = 256 * 1024;
/** Diagnostics of one source. */
export const DIAGNOSTICS_MAX = 1000;
/** How long `detach` waits for the kernel to release a link. */
export const LINK_GONE_TIMEOUT_MS = 5_000;
/** How often an attach is retried when other processes change the same TCX hook concurrently. */
export const TCX_ATTEMPTS_MAX = 16;
/** How long a command waits for the writer lock by default. */
export const LOCK_TIMEOUT_DEFAULT_MS = 30_000;
/** How long a command that makes many changes keeps the writer lock for them, and how long it then leaves it to others. */
export const SERIES_TURN_MS = 1000;
export const SERIES_PAUSE_MS = 30;
/** How long SQLite waits for another writer. */
export const DATABASE_BUSY_TIMEOUT_MS = 10_000;
/** Programs per object file, and global variables per object file: hundreds of times more than the largest known. */
export const OBJECT_ENTRIES_MAX = 16_384;
/** Maps per object file; a program can use at most 64 (MAX_USED_MAPS). */
export const OBJECT_MAPS_MAX = 1024;
/** Fields in a map definition; libbpf knows a dozen. */
export const MAP_FIELDS_MAX = 32;
/** Typedefs, modifiers and arrays followed from one BTF type, as in libbpf (MAX_RESOLVE_DEPTH). */
export const BTF_DEPTH_MAX = 32;
/** Nesting depth of BTF types by value. The kernel allows 32, and its own types use at most half of that. */
export const BTF_NESTING_MAX = 64;
/** Size of the kernel configuration values in one object file, in bytes; libbpf stores offsets into them in 32 bits. */
export const KCONFIG_BYTES_MAX = 64 * 1024;
/** Kernel variables and functions that one object file refers to; a program can use 256 functions. */
export const EXTERNS_MAX = 1024;
/** Functions in .text of one object file, because libbpf follows calls recursively. A program can have 256. */
export const TEXT_FUNCTIONS_MAX = 4096;
/** Name comparisons libbpf makes while it opens an object, in nested loops: about ten seconds. */
export const LIBBPF_LOOKS_MAX = 2_000_000_000;
/** Length of the licence; libbpf passes no more to the kernel. */
export const LICENSE_BYTES_MAX = 63;
/** Largest symbol or string table searched for a uprobe's function. */
export const SYMBOL_TABLE_BYTES_MAX = 1024 * 1024 * 1024;
/** Matching symbols that are examined; a name has a handful of versions at most. */
export const SYMBOL_CANDIDATES_MAX = 1024;
/** Occurrences of the requested name in a string table, including those at the end of longer names. */
export const SYMBOL_PLACES_MAX = 1_000_000;
/** Longest mangled name read; C++ names with many template arguments have thousands of characters. */
export const MANGLED_CHARS_MAX = 16_384;
/** Largest .gopclntab read, and largest section searched for it; that of the largest Go programs is 60 MB. */
export const GO_TABLE_BYTES_MAX = 128 * 1024 * 1024;
/** Function names considered for "did you mean". */
export const SYMBOL_NAMES_MAX = 100_000;
/** Libraries read from the dynamic linker's cache; a full desktop has about 4,000. */
export const LINKER_CACHE_ENTRIES_MAX = 32_768;
/** Characters and terms of a `--selector`: far more than anyone types, few enough to bound the work. */
export const SELECTOR_CHARS_MAX = 4096;
export const SELECTOR_TERMS_MAX = 256;
/** Candidates a completion offers; more than a screenful does not help. */
export const COMPLETIONS_MAX = 1000;
/** Directory entries of /proc and /run/netns read for completions. */
export const COMPLETION_ENTRIES_MAX = 100_000;
/** How long `unload` waits for the kernel to free a program after bpfman's last reference is gone. */
export const PROGRAM_GONE_TIMEOUT_MS = 250;
/**
 * Entries in the change log; older ones are deleted. A schema step contains this value, so changing it takes a new
 * step.
 */
export const CHANGES_MAX = 4096;
/** Size of the file that takes up space for removals on a full disk: enough for several that are killed. */
export const RESERVE_BYTES = 1024 * 1024;
/** How much of it one removal gets: more than the WAL grows to on a nearly full disk, with a large transaction. */
export const RESERVE_STEP_BYTES = 256 * 1024;
/** Entries in the history of operations; older ones are deleted. As above, changing it takes a new schema step. */
export const OPERATIONS_MAX = 10_000;
/** Old programs of which it is known what took their place; of older ones it is forgotten. */
export const SUCCESSORS_MAX = 10_000;
/** IDs of each kind kept in an entry of the history: those of the largest load (PROGRAMS_PER_LOAD_MAX). */
export const OPERATION_IDS_MAX = 1024;
/** Length of a text in an entry of the history, in characters; that of a message or path is usually below 200. */
export const OPERATION_TEXT_CHARS_MAX = 1024;
/** Largest record stored with an entry of the change log. */
export const CHANGE_RECORD_BYTES_MAX = 64 * 1024;
/** Entries of the change log read at a time. */
export const CHANGES_PER_READ_MAX = 256;
/** Largest frame the JSON-RPC server accepts. Object files do not belong in one; everything else is small. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** Header of a frame; clients send about 30 bytes. */
export const HEADER_BYTES_MAX = 8 * 1024;
/** Nesting depth of objects and arrays in a frame; no request exceeds six. */
export const JSON_DEPTH_MAX = 64;
/** Messages in a JSON-RPC batch. */
export const BATCH_MESSAGES_MAX = 1024;
/** Length of a string request ID, in characters. */
export const REQUEST_ID_CHARS_MAX = 1024;
/** Names listed in a hint: about a screenful, even if there are thousands. */
export const LISTED_NAMES_MAX = 40;
/** Length of an invalid value, or of the path to it, quoted in an error, in characters. */
export const WRONG_VALUE_CHARS_MAX = 512;
/** Characters of a word that any error quotes: no path is longer (PATH_MAX). */
export const QUOTED_CHARS_MAX = 4096;
/** Requests in flight per session. At the limit, no more are read until some are answered. */
export const REQUESTS_IN_FLIGHT_MAX = 256;
/** Bytes waiting for a client above which notifications are dropped. */
export const NOTIFICATION_BACKLOG_BYTES_MAX = 1024 * 1024;
/** Bytes waiting for a client above which no more requests are read. Replies are never dropped. */
export const REPLY_BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** How long replies wait at the end of a session for a client that has stopped reading. */
export const LAST_REPLIES_TIMEOUT_MS = 10_000;
/** How long replies wait for the client once a signal has ended the session. */
export const INTERRUPTED_REPLIES_TIMEOUT_MS = 250;
/** How long a session keeps the process that makes its changes without a change. */
export const WORKER_IDLE_MS = 30_000;
/**
 * How long a cancelled change may take to notice that, before it counts as being inside a system call and its process is
 * killed; and how long cleaning up after that waits for the writer lock. Together less than a second.
 */
export const WORKER_CANCEL_TIMEOUT_MS = 300;
/** How often the process of a cancelled change says, until that has been undone, that it is not inside a system call. */
export const WORKER_STOPPING_MS = 200;
/** How long it may then say nothing, which is as long as one step of undoing may wait for the kernel, before it is killed. */
export const WORKER_SILENCE_TIMEOUT_MS = 2000;
/** Largest message of that process: the verifier log of a refusal, with each character escaped. */
export const WORKER_MESSAGE_BYTES_MAX = 128 * 1024 * 1024;
/** How often to check whether the process a session is bound to still exists. */
export const PARENT_POLL_MS = 250;
/** How long a language server waits at its end for its helper, which answers a cancelled request within a second. */
export const LANGUAGE_END_TIMEOUT_MS = 3000;
/** How often to check the database for changes by other processes if no file event reports one. */
export const CHANGES_POLL_MS = 1000;
/** How often to check while there can be no file events, because the database's directory does not exist yet. */
export const CHANGES_POLL_UNWATCHED_MS = 100;
/** Length of an image reference; name, tag and digest each have smaller limits. */
export const IMAGE_REFERENCE_CHARS_MAX = 512;
/** Largest Containerfile. */
export const CONTAINER_FILE_BYTES_MAX = 1024 * 1024;
/** Lines of a container tool's output kept for its error report. */
export const TOOL_LINES_KEPT = 20;
/** Length of a line of a container tool's output, in characters; longer ones are split. */
export const TOOL_LINE_CHARS_MAX = 16_384;
/** How long a container tool may take to clean up after it was told to stop. */
export const TOOL_STOP_TIMEOUT_MS = 10_000;
/** Length of an image name, registry and path, in characters (distribution/reference). */
export const IMAGE_NAME_CHARS_MAX = 255;
/** Largest manifest or index, the limit of registries (OCI distribution spec, "Pushing Manifests"). */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Largest image configuration; those of bytecode images are a few KiB. */
export const IMAGE_CONFIG_BYTES_MAX = 1024 * 1024;
/** Largest compressed layer: twice the largest object file. */
export const LAYER_BYTES_MAX = 32 * 1024 * 1024;
/** Largest uncompressed layer, which bounds the memory a decompression bomb can use. */
export const LAYER_TAR_BYTES_MAX = 64 * 1024 * 1024;
/** Files and directories in one layer; a bytecode image has one. */
export const LAYER_ENTRIES_MAX = 1024;
/** Entries in an index, and layers in a manifest. */
export const IMAGE_ENTRIES_MAX = 1024;
/** Largest registry response that is not content: errors, tokens, lists. */
export const REGISTRY_TEXT_BYTES_MAX = 256 * 1024;
/** Images that a server pulls at a time for changes that wait for their turn: one registry that hangs does not stop all. */
export const PULLS_AT_A_TIME_MAX = 4;
/** How long a registry may be silent, before and during a response. */
export const REGISTRY_IDLE_TIMEOUT_MS = 30_000;
/** How long a request may take in total, including retries. */
export const REGISTRY_TOTAL_TIMEOUT_MS = 600_000;
/** How often a request is sent when the registry is overloaded or the connection breaks. */
export const REGISTRY_ATTEMPTS_MAX = 4;
/** Pause before the first retry; each further pause is three times as long. */
export const REGISTRY_PAUSE_MS = 250;
/** The longest pause accepted from a registry (Retry-After). */
export const REGISTRY_PAUSE_MAX_MS = 30_000;
/** Redirects followed per request. */
export const REGISTRY_REDIRECTS_MAX = 5;
/** Largest credentials file. */
export const AUTH_FILE_BYTES_MAX = 1024 * 1024;
/** How long a credential helper may take; some contact a cloud service. */
export const CREDENTIAL_HELPER_TIMEOUT_MS = 30_000;
/** Images of an index examined by `image inspect`; each takes two requests. */
export const INSPECTED_ENTRIES_MAX = 64;
/** Length of an untrusted image reference, or of registry credentials, in characters. */
export const REGISTRY_FIELD_CHARS_MAX = 16_384;
/** Programs that are loaded along with those asked for, because program arrays hold them. The kernel follows 33 jumps. */
export const ALONGSIDE_MAX = 256;
/** Functions per program, including all it calls: the kernel's limit (BPF_MAX_SUBPROGS). */
export const SUBPROGRAMS_MAX = 256;
/** Instructions per program, including called functions: the kernel's limit (BPF_COMPLEXITY_LIMIT_INSNS). */
export const PROGRAM_INSTRUCTIONS_MAX = 1_000_000;
/** Length of a source line, or of its file's path, as the compiler recorded it in an object. */
export const SOURCE_TEXT_BYTES_MAX = 65_536;
/** Signatures examined per image; more than a handful of signers is rare. */
export const SIGNATURES_PER_IMAGE_MAX = 64;
/** Manifests opened among those that refer to an image: signatures, attestations, SBOMs. */
export const REFERRERS_PER_IMAGE_MAX = 256;
/** Largest payload or bundle of a signature; cosign's are a few KiB. */
export const SIGNATURE_BYTES_MAX = 1024 * 1024;
/** Largest public key file; a 16,384-bit RSA key takes 3 KiB. */
export const KEY_FILE_BYTES_MAX = 64 * 1024;
/** Largest trusted root file; the public one is 7 KiB. */
export const TRUST_ROOT_BYTES_MAX = 4 * 1024 * 1024;
/** Trusted identities, and trusted keys. */
export const TRUSTED_SIGNERS_MAX = 256;
/** Length of an identity, an issuer, or a regular expression for either, in characters. */
export const IDENTITY_CHARS_MAX = 2048;
/** How long a response from the trust root's server may take. */
export const TRUST_ROOT_TIMEOUT_MS = 5_000;
/** How often a request for the trust root is retried. */
export const TRUST_ROOT_RETRIES = 1;
/** Parts (members, elements) of a value that is shown by its type; larger ones are shown as hex. A page of globals has few. */
export const VALUE_PARTS_MAX = 4 * 1024 * 1024;
/** Members and enumerators of all types within one type that is shown; those of the kernel's largest have some thousands. */
export const COMPILED_MEMBERS_MAX = 256 * 1024;
/** Bytes of entries read from a map at once: a few system calls for a million small entries, little memory for large ones. */
export const MAP_BATCH_BYTES_MAX = 256 * 1024;
/** Entries read from a map at once. */
export const MAP_BATCH_ENTRIES_MAX = 4096;
/** Largest value of a map that is read, for all processors together; a map of global variables has some KiB. */
export const MAP_VALUE_BYTES_MAX = 64 * 1024 * 1024;
/** Entries that a list of maps counts in each: some milliseconds. */
export const MAP_ENTRIES_COUNTED_MAX = 65_536;
/** Entries in one answer of map/dump. */
export const MAP_PAGE_ENTRIES_MAX = 10_000;
/** Functions that one attach puts probes on: more is a pattern that says nothing. A kernel has some 60,000. */
export const PROBED_FUNCTIONS_MAX = 10_000;
/** Bytes that are read from an iterator at once: four times what the kernel keeps ready (bpf_iter). */
export const ITERATOR_CHUNK_BYTES = 128 * 1024;
/** Bytes of an iterator in one answer of link/read. */
export const ITERATOR_PAGE_BYTES_MAX = 1024 * 1024;
/** Bytes of events that are read at once, before anything else has its turn. */
export const EVENT_BATCH_BYTES_MAX = 256 * 1024;
/** Events that are read at once. */
export const EVENT_BATCH_MAX = 1024;
/** Pages of the perf buffer of a processor: a power of two. */
export const PERF_BUFFER_PAGES = 64;
/** How long a command waits for events before it looks whether anybody still reads its output. */
export const EVENTS_WAIT_MS = 100;
/** How long a reader that has read all there was leaves a source alone: waking up for each event would cost more than reading it. */
export const EVENTS_PAUSE_MS = 1;
/** How often a session looks for events. */
export const EVENTS_POLL_MS = 5;
/** How often a reader looks whether its source is still there. */
export const EVENTS_CHECK_MS = 1000;
/** Characters of events in one answer, which then ends. */
export const EVENTS_ANSWER_CHARS_MAX = 8 * 1024 * 1024;
/** Events in one answer, and events that a client can allow a session to send it. */
export const EVENTS_ALLOWED_MAX = 10_000;
/** Largest copy of a row in the runtime directory: a program's, with its global data and metadata. */
export const ROW_COPY_BYTES_MAX = 32 * 1024 * 1024;
/** Programs that one request can ask `stats` for by their IDs: more than any known kernel has at a time. */
export const STATS_PROGRAMS_MAX = 10_000;
/** Longest interval of `stats`: an hour, for which a session goes on whose client asked for it and closed its end. */
export const STATS_INTERVAL_MS_MAX = 3_600_000;
/** Descriptors of processes that are looked at to find who holds a program: about a second. */
export const HOLDER_DESCRIPTORS_MAX = 200_000;
/** Largest document of a desired state; one with a thousand programs has some 100 KiB. */
export const DOCUMENT_BYTES_MAX = 1024 * 1024;
/** Documents that one request can name, and files read from one directory. */
export const DOCUMENT_FILES_MAX = 1024;
/** How deep a document may be nested; the schema, with its metadata and globals, needs some ten levels. */
export const DOCUMENT_DEPTH_MAX = 64;
/** Values that a document's aliases may repeat, altogether, counting those within others. */
export const DOCUMENT_ALIASES_MAX = 10_000;
/** How long `apply --follow` waits after an interface came or went, for what is done to it next. */
export const INTERFACES_SETTLE_MS = 50;
/** How soon `apply --follow` tries again what failed. */
export const INTERFACES_RETRY_MS = 1000;
/** Entries of each list in a document: applications, objects, attachments. */
export const DOCUMENT_ENTRIES_MAX = 1024;
/** How long the answer to a load that failed is given again: as long as its caller, which never waits, may be wrong. */
export const FAILED_LOAD_MS = 10_000;
/** How many of those are kept: more than a node has applications that fail. */
export const FAILED_LOADS_MAX = 64;
/** Name of a volume: what the Container Storage Interface allows, in characters. */
export const VOLUME_ID_CHARS_MAX = 128;
/** Maps of a volume: more than the largest known objects have. */
export const VOLUME_MAPS_MAX = 256;
/** Largest number of a group: the kernel's (gid_t)-1 stands for none. */
export const GROUP_ID_MAX = 0xffff_fffe;
/** PATH_MAX without the NUL byte (include/uapi/linux/limits.h). */
export const PATH_BYTES_MAX = 4095;
/** Largest request over gRPC, also once it is uncompressed. Decoding a crafted one of this size takes a second. */
export const GRPC_REQUEST_BYTES_MAX = 1024 * 1024;
/** Bytes of an error message over gRPC, encoded: it is sent as a header, and clients refuse long ones. */
export const GRPC_ERROR_BYTES_MAX = 4096;
/** Headers of a request over gRPC, and of a response. */
export const GRPC_HEADER_LIST_BYTES_MAX = 16 * 1024;
/** Calls at once on one connection; clients open no more than they are told. */
export const GRPC_STREAMS_MAX = 1000;
/** Calls at once on all connections of a socket. */
export const GRPC_CALLS_MAX = 2000;
/** Bytes of requests and answers of all calls of a socket that are not over, above which new ones are refused. */
export const GRPC_HELD_BYTES_MAX = 32 * 1024 * 1024;
/** How long a client may take to send a request, and to take an answer. */
export const GRPC_STALL_TIMEOUT_MS = 30_000;
/** Connections at once to a socket; an agent has one. */
export const GRPC_CONNECTIONS_MAX = 64;
/** Connections at once to the socket for metrics; Prometheus has one. */
export const METRICS_CONNECTIONS_MAX = 64;
/** How long one of them may be open without a request. */
export const METRICS_IDLE_TIMEOUT_MS = 10_000;
/** Calls after which their garbage is collected, which takes some 15 ms. */
export const GRPC_CALLS_PER_COLLECTION = 500;
/** How long calls may go on when the server is told to stop, before they are cancelled. */
export const GRPC_STOP_TIMEOUT_MS = 10_000;
