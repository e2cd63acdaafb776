/**
 * Every error a user can encounter: its kind, its meaning, and what to do by default. Exit codes and JSON-RPC error
 * codes depend only on the kind, so a new code cannot lack either.
 */

export type ErrorKind =
  | "invalid"
  | "not-found"
  | "conflict"
  | "precondition"
  | "permission"
  | "unsupported"
  | "unavailable"
  | "cancelled"
  | "internal";

/** Each row says what to do: as a hint that is printed if the error has none of its own, or only in the manual. */
type CodeRow = {
  readonly kind: ErrorKind;
  readonly meaning: string;
} & (
  | { readonly hint: string; readonly advice?: never }
  /** Used where the message or its hint already gives the advice with concrete names. */
  | { readonly advice: string; readonly hint?: never }
);

export const ERROR_CODES = {
  USAGE: {
    kind: "invalid",
    meaning: "the command line is not valid",
    advice: "read the usage line below the message; --help has examples",
  },
  INVALID_REQUEST: {
    kind: "invalid",
    meaning: "a field of the request has a wrong type or value",
    advice: "change the field that the message names",
  },
  INVALID_CONFIG: {
    kind: "invalid",
    meaning: "the configuration file does not parse, or has an unknown key or a wrong type",
    hint: "fix the line that the message names, or give another file with --config",
  },
  INVALID_DOCUMENT: {
    kind: "invalid",
    meaning:
      "a document of a desired state does not parse, has an unknown field or a wrong type, or contradicts itself",
    hint: "fix the line that the message names; docs/desired-state.md has the fields",
  },
  INVALID_PROGRAM: {
    kind: "invalid",
    meaning:
      "a --programs value is not TYPE:NAME, or TYPE:NAME:FUNCTION for fentry, fexit and lsm, or TYPE:NAME:PROGRAM/FUNCTION for freplace",
    advice:
      "write TYPE:NAME, as in xdp:my_program; fentry, fexit and lsm also need :FUNCTION, and freplace :PROGRAM/FUNCTION",
  },
  INVALID_GLOBAL: {
    kind: "invalid",
    meaning: "the value of a global variable does not have its type, or its bytes not its size",
    advice:
      "write --set NAME=VALUE, as in LIMIT=10; or --global NAME=HEX with two digits for each byte of the variable, as in LIMIT=0A000000",
  },
  INVALID_BASELINE: {
    kind: "invalid",
    meaning: "the file given as a baseline does not hold the costs that `check --save` writes",
    hint: "write one with: bpfman check FILE --save BASELINE",
  },
  COMPILE_FAILED: {
    kind: "invalid",
    meaning: "a C source does not compile, or the compiler failed",
    hint: "fix the first error that the compiler reports; compile_commands.json above the source can give its flags",
  },
  COMPILATION_DATABASE_INVALID: {
    kind: "invalid",
    meaning: "a compile_commands.json above a C source cannot be read as a compilation database",
    hint: "generate it again, or remove it",
  },
  INVALID_METADATA: {
    kind: "invalid",
    meaning: "a metadata value is not KEY=VALUE",
    advice: "write KEY=VALUE, each key once",
  },
  INVALID_SELECTOR: {
    kind: "invalid",
    meaning: "a --selector is not a list of terms such as key=value, key!=value, key in (a,b), key, !key",
    advice: "terms are key=value, key!=value, key in (a,b), key notin (a,b), key, !key, separated by commas",
  },
  INVALID_PRIORITY: {
    kind: "invalid",
    meaning: "a priority is not a whole number, or is out of range",
    advice: "use 0 to 1000 in the classic grammar, 0 to 2147483647 in the noun-verb grammar",
  },
  INVALID_ATTACH: {
    kind: "invalid",
    meaning: "the options of an attach do not fit together",
    advice: "change the option that the message names",
  },
  INVALID_VOLUME: {
    kind: "invalid",
    meaning: "nothing may be mounted at the target path of a volume",
    hint: "name a path that does not exist yet, or an empty directory, in a directory that only root can change",
  },
  INVALID_OBJECT: {
    kind: "invalid",
    meaning: "the file is not a loadable eBPF object",
    hint: "compile with clang -target bpf -O2 -g -c",
  },
  INVALID_BUILD: {
    kind: "invalid",
    meaning: "the inputs of an image build do not fit together",
    advice: "change the option or file that the message names",
  },
  INVALID_REFERENCE: {
    kind: "invalid",
    meaning: "an image name is not REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST",
    hint: 'write the name as in "registry.example/name:tag"',
  },
  INVALID_CREDENTIALS: {
    kind: "invalid",
    meaning: "credentials for a registry do not have the right format",
    hint: "fix that file, or give --registry-auth with the base64 of USER:PASSWORD",
  },
  INVALID_IMAGE: {
    kind: "invalid",
    meaning: "the image is not a bytecode image, or is malformed",
    hint: 'rebuild it, for instance with "bpfman image build"',
  },
  IMAGE_DAMAGED: {
    kind: "invalid",
    meaning: "the content of an image does not match its digest or size",
    hint: "try again; if it keeps failing, the registry's copy is damaged",
  },
  IMAGE_PLATFORM_MISSING: {
    kind: "invalid",
    meaning: "the image has no bytecode for this machine's architecture",
    advice: "use a machine of a platform that the message lists, or build the image for this one",
  },
  PROGRAM_NOT_IN_IMAGE: {
    kind: "invalid",
    meaning: "the image's labels do not name that program",
    advice: "choose one of the programs that the hint lists",
  },
  IMAGE_NOT_FOUND: {
    kind: "not-found",
    meaning: "the registry has no such image or tag",
    hint: "check name and tag; some registries also say this if credentials are missing",
  },
  IMAGE_NOT_CACHED: {
    kind: "not-found",
    meaning: "the image is not in the cache, and the pull policy forbids pulling it",
    hint: 'pull it with "bpfman image pull", or use pull policy IfNotPresent',
  },
  REGISTRY_DENIED: {
    kind: "permission",
    meaning: "the registry requires credentials, or rejects the ones given",
    advice: 'log in with "podman login" or "docker login", or give --registry-auth',
  },
  REGISTRY_CERTIFICATE: {
    kind: "precondition",
    meaning: "the registry's certificate is not trusted",
    hint: "give the certificate of its authority with --ca-file",
  },
  REGISTRY_UNREACHABLE: {
    kind: "unavailable",
    meaning: "the connection to the registry failed or was lost",
    hint: "check the name and the network; pull policy Never uses an image pulled earlier",
  },
  REGISTRY_FAILED: {
    kind: "unavailable",
    meaning: "the registry answered with an error, or broke the protocol",
    hint: "try again later; if it keeps failing, ask whoever runs the registry",
  },
  INVALID_KEY: {
    kind: "invalid",
    meaning: "a trusted key is not a public key in PEM",
    hint: 'cosign writes one with "cosign generate-key-pair" (cosign.pub) or "cosign public-key"',
  },
  IMAGE_UNSIGNED: {
    kind: "permission",
    meaning: "the image has no signature, and signatures are required",
    hint: "sign it with cosign, or set allow_unsigned under [signing] in the configuration (image verify: --allow-unsigned)",
  },
  SIGNATURE_INVALID: {
    kind: "permission",
    meaning: "the image's signature is for another image, tampered with, incomplete, or unproven",
    hint: "do not use the image unless you know the cause",
  },
  SIGNER_UNTRUSTED: {
    kind: "permission",
    meaning: "the image is signed, but not by a trusted identity or key",
    hint: "name the signer under [[signing.trusted_identities]] or [[signing.trusted_keys]] in the configuration",
  },
  TRUST_ROOT_UNAVAILABLE: {
    kind: "precondition",
    meaning: "the trusted root, needed to check keyless signatures, cannot be used",
    hint: 'create a new one with "cosign trusted-root create", or omit signing.trusted_root to use the public one',
  },
  GLOBAL_NOT_FOUND: {
    kind: "invalid",
    meaning: "the object has no global variable of that name",
    advice: "choose one of the variables that the hint lists; only global variables can be set",
  },
  FUNCTION_NOT_FOUND: {
    kind: "invalid",
    meaning: "the object has no program of that name",
    advice: "choose one of the programs that the hint lists",
  },
  PROGRAM_TYPE_MISMATCH: {
    kind: "invalid",
    meaning: "the program is not of the requested type",
    advice: "use the type that the message names: the program's ELF section determines it",
  },
  FILE_NOT_FOUND: {
    kind: "not-found",
    meaning: "a file named by the user does not exist",
    hint: "check the path; a relative one starts at the current directory, or at the directory of the document that names it",
  },
  FILE_UNREADABLE: {
    kind: "invalid",
    meaning: "a file named by the user cannot be read, or is not a regular file",
    hint: "give a regular file that this user may read",
  },
  PROGRAM_NOT_FOUND: {
    kind: "not-found",
    meaning: "no program has that id or name",
    hint: 'see "bpfman list programs"',
  },
  PROGRAM_NOT_MANAGED: {
    kind: "not-found",
    meaning: "the kernel has a program of that id, but bpfman did not load it",
    hint: 'see "bpfman list programs"',
  },
  PROGRAM_AMBIGUOUS: {
    kind: "invalid",
    meaning: "a name fits several programs",
    advice: "name the program by its id, or as APPLICATION/NAME: the message lists the candidates",
  },
  LINK_AMBIGUOUS: {
    kind: "invalid",
    meaning: "a program's name stands for its only link, and fits several",
    advice: "name the link by its id: the message lists the candidates",
  },
  LINK_NOT_FOUND: {
    kind: "not-found",
    meaning: "no link has that id, or no program of that name has a link",
    hint: 'see "bpfman list links"',
  },
  MAP_NOT_FOUND: {
    kind: "not-found",
    meaning: "no such map in the object, at that pin, or in the kernel",
    advice: "take one of the maps that the hint lists, or another pin or id",
  },
  MAP_AMBIGUOUS: {
    kind: "invalid",
    meaning: "a name fits several maps",
    advice: "name the map by its id, or as PROGRAM_ID/NAME: the hint lists the candidates",
  },
  TYPE_NOT_FOUND: {
    kind: "not-found",
    meaning: "the program's type information (BTF) has no struct of that name",
    advice: "take one of the structs that the hint lists",
  },
  TYPE_AMBIGUOUS: {
    kind: "invalid",
    meaning: "several structs could be the type of a program's events",
    advice: "choose one of those that the message lists: --type STRUCT",
  },
  MAP_NOT_MANAGED: {
    kind: "permission",
    meaning: "the map to be changed belongs to programs that bpfman did not load",
    advice: "give --foreign to change it all the same",
  },
  MAP_FROZEN: {
    kind: "conflict",
    meaning: "only programs can change the map: it is frozen, or was created read-only for everything else",
    advice: "constants are set when the program is loaded",
  },
  MAP_FULL: {
    kind: "conflict",
    meaning: "the map has no room for another entry",
    hint: "delete an entry first, or load the program with more: --map-entries NAME=N",
  },
  INVALID_VALUE: {
    kind: "invalid",
    meaning: "a key or value does not fit its type",
    advice: "change the part that the message names",
  },
  ENTRY_NOT_FOUND: {
    kind: "not-found",
    meaning: "the map has no entry with that key",
    hint: 'see "bpfman map dump MAP"',
  },
  ENTRY_EXISTS: {
    kind: "conflict",
    meaning: "the map already has an entry with that key, and the request was to add a new one",
    advice: "change it without --create",
  },
  MAP_SIZE_MISSING: {
    kind: "invalid",
    meaning: "the object leaves the size of a map to its loader",
    advice: "say it with --map-entries NAME=N",
  },
  MAP_OWNER_NOT_FOUND: {
    kind: "not-found",
    meaning: "--map-owner-id does not name a program that owns its maps",
    hint: 'see "bpfman list programs"; a program that itself shares maps does not own them',
  },
  DISPATCHER_NOT_FOUND: {
    kind: "not-found",
    meaning: "no chain of XDP or TC programs runs on that hook",
    hint: 'see "bpfman dispatcher list"',
  },
  INTERFACE_NOT_FOUND: {
    kind: "not-found",
    meaning: "that namespace has no network interface of that name",
    hint: 'see "ip link"; --netns looks in another namespace',
  },
  NETNS_NOT_FOUND: {
    kind: "not-found",
    meaning: "the given path is not a network namespace",
    hint: "give a file such as /run/netns/NAME or /proc/PID/ns/net",
  },
  EVENT_NOT_FOUND: {
    kind: "not-found",
    meaning: "there is no perf event of that name",
    hint: '"bpfman attach perf_event --help" lists the events',
  },
  CGROUP_NOT_FOUND: {
    kind: "not-found",
    meaning: "the given path is not a cgroup of version 2",
    hint: "give the directory of a cgroup, such as /sys/fs/cgroup/system.slice",
  },
  TRACEPOINT_NOT_FOUND: {
    kind: "not-found",
    meaning: "the kernel has no tracepoint of that name",
    hint: "see /sys/kernel/tracing/available_events",
  },
  SYMBOL_NOT_FOUND: {
    kind: "not-found",
    meaning: "the target has no function of that name",
    hint: "static and inlined functions may have no symbol",
  },
  TARGET_NOT_FOUND: {
    kind: "not-found",
    meaning: "the uprobe target is not a file, and no library of that name was found",
    hint: "check the path, which must be absolute; add --container-pid for a file in a container",
  },
  PROCESS_NOT_FOUND: {
    kind: "not-found",
    meaning: "no process has that pid",
    hint: "give the PID as ps on the host shows it",
  },
  MAP_MISMATCH: {
    kind: "conflict",
    meaning: "a shared map is defined differently in the object than in the kernel",
    advice: "make both definitions agree, or load without sharing",
  },
  ALREADY_ATTACHED: {
    kind: "conflict",
    meaning: "the same program is already attached to that hook",
    advice: "detach the link that the message names, or attach another program",
  },
  HOOK_CHANGED: {
    kind: "conflict",
    meaning: "another process kept changing the same hook",
    hint: "try again",
  },
  HOOK_BUSY: {
    kind: "conflict",
    meaning: "another process holds the hook",
    hint: "detach it with the tool that attached it; bpfman never removes what it does not own",
  },
  DISPATCHER_FULL: {
    kind: "conflict",
    meaning: "all ten slots of the hook's dispatcher are occupied",
    hint: 'see "bpfman dispatcher list"; detach a program first',
  },
  VOLUME_EXISTS: {
    kind: "conflict",
    meaning: "the volume is published already, with other arguments",
    hint: "unpublish it first, or publish one under another name",
  },
  PROGRAM_IN_USE: {
    kind: "conflict",
    meaning: "other programs are loaded that replace functions of the program",
    hint: "unload those first",
  },
  LOCK_TIMEOUT: {
    kind: "conflict",
    meaning: "another bpfman is making changes and did not finish in time",
    hint: "wait for it, or give a longer --lock-timeout",
  },
  STATE_CONFLICT: {
    kind: "conflict",
    meaning: "the kernel, the pins and the database do not agree",
    hint: "the next command that changes something cleans up; if the problem persists, unload the program and load it again",
  },
  SOCKET_IN_USE: {
    kind: "conflict",
    meaning: "another process serves on that Unix socket",
    hint: "end that process first, or give another path",
  },
  LINK_STILL_HELD: {
    kind: "conflict",
    meaning: "the link was unpinned, but another process keeps it alive",
    hint: 'find the holder with "bpftool link" and stop it',
  },
  SCHEMA_TOO_NEW: {
    kind: "precondition",
    meaning: "the database was written by a newer bpfman",
    hint: "use that version; nothing was changed",
  },
  DATABASE_UNUSABLE: {
    kind: "precondition",
    meaning: "the database cannot be opened or is damaged",
    hint: "fix what the message names, or give another --state-dir",
  },
  STATE_LOST: {
    kind: "precondition",
    meaning: "bpfman's records of running programs are missing or damaged",
    hint: "restore the database together with its -wal, or run: bpfman repair; nothing was changed",
  },
  STATE_FOREIGN: {
    kind: "precondition",
    meaning: "the runtime directory belongs to another database",
    hint: "give the --state-dir it belongs to, or another --runtime-dir",
  },
  LIBBPF_MISSING: {
    kind: "precondition",
    meaning: "libbpf.so.1 is not installed",
    hint: "install it: apt install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora, RHEL)",
  },
  LIBBPF_TOO_OLD: {
    kind: "precondition",
    meaning: "the installed libbpf lacks functions that bpfman needs",
    hint: "install libbpf 1.1 or newer: apt install libbpf1 (Debian 12 and later), dnf install libbpf",
  },
  BPFFS_UNAVAILABLE: {
    kind: "precondition",
    meaning: "the BPF file system cannot be mounted",
    hint: "check that the kernel has CONFIG_BPF_SYSCALL and that mounting is allowed here",
  },
  TRACEFS_UNAVAILABLE: {
    kind: "precondition",
    meaning: "the tracing file system cannot be mounted",
    hint: "check that the kernel has CONFIG_TRACING and that mounting is allowed here",
  },
  EVENTS_TAKEN: {
    kind: "conflict",
    meaning: "another process reads these events, and only one can",
    hint: "stop that process first",
  },
  JIT_UNAVAILABLE: {
    kind: "precondition",
    meaning: "the system denies writable and executable memory, which calls into libc need",
    hint: "under systemd, remove MemoryDenyWriteExecute= from the unit",
  },
  CONTAINER_TOOL_MISSING: {
    kind: "precondition",
    meaning: "a container file was given, but no tool to build from it is installed",
    hint: "install podman, or docker with buildx; without -f no such tool is needed",
  },
  CONTAINER_BUILD_FAILED: {
    kind: "unavailable",
    meaning: "docker or podman could not build or push the image",
    hint: "see the output of the tool",
  },
  VERIFIER_REJECTED: {
    kind: "invalid",
    meaning: "the kernel's verifier rejected the program",
    hint: "the verifier's log shows each step up to the rejection",
  },
  LOAD_FAILED: {
    kind: "invalid",
    meaning: "libbpf or the kernel rejected the object",
    advice: "the message is theirs: it names the map, program or symbol that they rejected",
  },
  ATTACH_FAILED: {
    kind: "invalid",
    meaning: "the kernel rejected the attachment",
    hint: 'the kernel log may say more: "dmesg | tail"',
  },
  PERMISSION_DENIED: {
    kind: "permission",
    meaning: "the process lacks root or a capability",
    hint: "run it with sudo",
  },
  KERNEL_REFUSED: {
    kind: "permission",
    meaning: "the kernel refused the operation by policy",
    advice: "lockdown, a security module or missing capabilities prevent it; the hint says which",
  },
  NOT_SUPPORTED: {
    kind: "unsupported",
    meaning: "this version of bpfman cannot do that",
    advice: "do without it; the hint says how",
  },
  NO_TERMINAL: {
    kind: "precondition",
    meaning: "the command shows a screen, and standard input or output is not a terminal",
    advice: "run it on a terminal, or use the command that the hint names",
  },
  KERNEL_UNSUPPORTED: {
    kind: "unsupported",
    meaning: "this kernel cannot do that",
    advice: 'use another kind of program, or another kernel: "bpfman version -o json" shows what this one can do',
  },
  KERNEL_CALL_FAILED: {
    kind: "unavailable",
    meaning: "a system call failed that rarely does",
    hint: "try again; if it keeps failing, report it with the command and --log-level debug",
  },
  COMPILER_MISSING: {
    kind: "unavailable",
    meaning: "clang, or a tool that limits it (prlimit, setpriv), is not installed, so C sources cannot be checked",
    hint: "install clang, or compile the source elsewhere and check the object",
  },
  IO_FAILED: {
    kind: "unavailable",
    meaning: "a file could not be written or removed",
    hint: "check that there is free space and that this user may write there",
  },
  WORKER_LOST: {
    kind: "unavailable",
    meaning: "the process that makes the changes of a session could not be started, or was killed during this change",
    hint: "try again: the next change starts another one",
  },
  CANCELLED: {
    kind: "cancelled",
    meaning: "the operation was interrupted; what it had done was undone",
    advice: "run it again at any time: what it had done was undone",
  },
  INTERNAL: {
    kind: "internal",
    meaning: "a bug in bpfman",
    hint: "please report it, with the command and --log-level debug",
  },
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof ERROR_CODES;

export const rowOf = (code: ErrorCode): CodeRow => ERROR_CODES[code];
