/**
 * Every error a user can meet: its kind, what it means, and what to do by default. Exit codes and JSON-RPC numbers hang
 * on the kind, so a new code cannot miss a mapping.
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

/** Each row says what to do: as a hint that is printed when the error has none of its own, or in the manual alone. */
type CodeRow = {
  readonly kind: ErrorKind;
  readonly meaning: string;
} & (
  | { readonly hint: string; readonly advice?: never }
  /** Where the message, or the hint that comes with it, says it with the names at hand. */
  | { readonly advice: string; readonly hint?: never }
);

export const ERROR_CODES = {
  USAGE: {
    kind: "invalid",
    meaning: "the command line cannot be understood",
    advice: "the message is followed by the usage line; --help has examples",
  },
  INVALID_REQUEST: {
    kind: "invalid",
    meaning: "a field of the request has a wrong type or value",
    advice: "change the field that the message names",
  },
  INVALID_CONFIG: {
    kind: "invalid",
    meaning: "the configuration file does not parse, or has an unknown key or a wrong type",
    hint: "mend the line named, or point --config at another file",
  },
  INVALID_PROGRAM: {
    kind: "invalid",
    meaning: "a --programs value is not TYPE:NAME, or TYPE:NAME:FUNCTION for fentry and fexit",
    advice: "write TYPE:NAME, as in xdp:my_program; fentry, fexit and lsm take :FUNCTION behind it",
  },
  INVALID_GLOBAL: {
    kind: "invalid",
    meaning: "a --global value is not NAME=HEX, or its size is not the variable's",
    advice: "write NAME=HEX with two digits for each byte of the variable, as in LIMIT=0A000000",
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
    meaning: "a priority is not a whole number within its bounds",
    advice: "0 to 1000 in the classic grammar, 0 to 2147483647 in the noun-verb grammar",
  },
  INVALID_ATTACH: {
    kind: "invalid",
    meaning: "the options of an attach do not fit together",
    advice: "change the option that the message names",
  },
  INVALID_OBJECT: {
    kind: "invalid",
    meaning: "the file is not a loadable eBPF object",
    hint: "compile with clang -target bpf -O2 -g -c",
  },
  INVALID_BUILD: {
    kind: "invalid",
    meaning: "what an image is to be built from does not fit together",
    advice: "change the option or file that the message names",
  },
  INVALID_REFERENCE: {
    kind: "invalid",
    meaning: "an image is not named as REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST",
    hint: 'write the name as in "registry.example/name:tag"',
  },
  INVALID_CREDENTIALS: {
    kind: "invalid",
    meaning: "credentials for a registry are not in the form they should have",
    hint: "mend that file, or give --registry-auth with the base64 of USER:PASSWORD",
  },
  INVALID_IMAGE: {
    kind: "invalid",
    meaning: "the image is no bytecode image, or one that is put together wrongly",
    hint: 'have it built again, with "bpfman image build" for instance',
  },
  IMAGE_DAMAGED: {
    kind: "invalid",
    meaning: "content of an image does not have the digest or size it was announced with",
    hint: "try again; if it stays, the registry has it damaged",
  },
  IMAGE_PLATFORM_MISSING: {
    kind: "invalid",
    meaning: "the image has nothing for this machine's architecture",
    advice: "take one of the platforms that the message lists, or have the image built for this one",
  },
  PROGRAM_NOT_IN_IMAGE: {
    kind: "invalid",
    meaning: "the image's labels name no program of that name",
    advice: "take one of the programs that the hint lists",
  },
  IMAGE_NOT_FOUND: {
    kind: "not-found",
    meaning: "the registry has no such image or tag",
    hint: "check name and tag; some registries say this too when credentials are missing",
  },
  IMAGE_NOT_CACHED: {
    kind: "not-found",
    meaning: "the image was never pulled, and the pull policy forbids to pull it",
    hint: 'pull it with "bpfman image pull", or use pull policy IfNotPresent',
  },
  REGISTRY_DENIED: {
    kind: "permission",
    meaning: "the registry wants credentials, or other ones",
    advice: 'log in with "podman login" or "docker login", or give --registry-auth',
  },
  REGISTRY_CERTIFICATE: {
    kind: "precondition",
    meaning: "the registry's certificate is not trusted",
    hint: "give the certificate of its authority with --ca-file",
  },
  REGISTRY_UNREACHABLE: {
    kind: "unavailable",
    meaning: "no connection to the registry could be made, or it broke off",
    hint: "check the name and the network; an image that was pulled before can be had with pull policy Never",
  },
  REGISTRY_FAILED: {
    kind: "unavailable",
    meaning: "the registry answers with an error, or not as registries do",
    hint: "try again later; if it stays, it is for those who run the registry",
  },
  INVALID_KEY: {
    kind: "invalid",
    meaning: "a trusted key is no public key in PEM",
    hint: 'cosign writes one with "cosign generate-key-pair" (cosign.pub) or "cosign public-key"',
  },
  IMAGE_UNSIGNED: {
    kind: "permission",
    meaning: "the image has no signature, and signatures are required",
    hint: "sign it with cosign, or set allow_unsigned under [signing] in the configuration (image verify: --allow-unsigned)",
  },
  SIGNATURE_INVALID: {
    kind: "permission",
    meaning: "the image's signature is not for this image, was changed, is incomplete, or is not proven",
    hint: "do not use the image unless you know why",
  },
  SIGNER_UNTRUSTED: {
    kind: "permission",
    meaning: "the image is signed, but not by a trusted identity or key",
    hint: "name the signer under [[signing.trusted_identities]] or [[signing.trusted_keys]] in the configuration",
  },
  TRUST_ROOT_UNAVAILABLE: {
    kind: "precondition",
    meaning: "the trusted root, which keyless signatures are checked against, cannot be used",
    hint: 'write a new one with "cosign trusted-root create", or leave out signing.trusted_root for the public one',
  },
  GLOBAL_NOT_FOUND: {
    kind: "invalid",
    meaning: "the object has no global variable of that name",
    advice: "take one of the variables that the hint lists; only global variables can be set",
  },
  FUNCTION_NOT_FOUND: {
    kind: "invalid",
    meaning: "the object has no program of that name",
    advice: "take one of the programs that the hint lists",
  },
  PROGRAM_TYPE_MISMATCH: {
    kind: "invalid",
    meaning: "the program is of another type than the one asked for",
    advice: "use the type that the message names: the program's ELF section decides",
  },
  FILE_NOT_FOUND: {
    kind: "not-found",
    meaning: "a file named by the user is not there",
    hint: "check the path; a relative one counts from the current folder",
  },
  FILE_UNREADABLE: {
    kind: "invalid",
    meaning: "a file named by the user cannot be read, or is no regular file",
    hint: "give a regular file that this user may read",
  },
  PROGRAM_NOT_FOUND: { kind: "not-found", meaning: "no program has that id", hint: 'see "bpfman list programs"' },
  PROGRAM_NOT_MANAGED: {
    kind: "not-found",
    meaning: "the kernel has a program of that id, but bpfman did not load it",
    hint: 'see "bpfman list programs"',
  },
  LINK_NOT_FOUND: { kind: "not-found", meaning: "no link has that id", hint: 'see "bpfman list links"' },
  MAP_NOT_FOUND: {
    kind: "not-found",
    meaning: "no such map in the object, at that pin, or in the kernel",
    advice: "take one of the maps that the hint lists, or another pin or id",
  },
  MAP_SIZE_MISSING: {
    kind: "invalid",
    meaning: "the object leaves the size of a map to its loader",
    advice: "say it with --map-entries NAME=N",
  },
  MAP_OWNER_NOT_FOUND: {
    kind: "not-found",
    meaning: "--map-owner-id names no program that owns its maps",
    hint: 'see "bpfman list programs"; a program that itself shares maps is no owner',
  },
  DISPATCHER_NOT_FOUND: {
    kind: "not-found",
    meaning: "no chain of XDP or TC programs runs on that hook",
    hint: 'see "bpfman dispatcher list"',
  },
  INTERFACE_NOT_FOUND: {
    kind: "not-found",
    meaning: "no network interface has that name in that namespace",
    hint: 'see "ip link"; --netns looks in another namespace',
  },
  NETNS_NOT_FOUND: {
    kind: "not-found",
    meaning: "the path given is no network namespace",
    hint: "give a file such as /run/netns/NAME or /proc/PID/ns/net",
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
    meaning: "the uprobe target is no file, and no library of that name was found",
    hint: "check the path, which must be absolute; add --container-pid for a file in a container",
  },
  PROCESS_NOT_FOUND: {
    kind: "not-found",
    meaning: "no process has that pid",
    hint: "pids are those of the host, as ps shows them there",
  },
  MAP_MISMATCH: {
    kind: "conflict",
    meaning: "a map that is to be shared has another shape in the object than in the kernel",
    advice: "make both definitions agree, or load without sharing",
  },
  ALREADY_ATTACHED: {
    kind: "conflict",
    meaning: "the same program is already attached to that hook",
    advice: "detach the link that the message names, or attach another program",
  },
  HOOK_CHANGED: {
    kind: "conflict",
    meaning: "somebody else kept changing the same hook",
    hint: "try again",
  },
  HOOK_BUSY: {
    kind: "conflict",
    meaning: "somebody else holds the hook",
    hint: "detach it with the tool that attached it; bpfman never removes what is not its own",
  },
  DISPATCHER_FULL: {
    kind: "conflict",
    meaning: "all ten slots of the hook's dispatcher are occupied",
    hint: 'see "bpfman dispatcher list"; detach a program first',
  },
  LOCK_TIMEOUT: {
    kind: "conflict",
    meaning: "another bpfman is changing things and did not finish in time",
    hint: "wait for it, or give a longer --lock-timeout",
  },
  STATE_CONFLICT: {
    kind: "conflict",
    meaning: "the kernel, the pins and the database do not agree",
    hint: "the next command that changes something tidies up; if this stays, unload the program and load it again",
  },
  LINK_STILL_HELD: {
    kind: "conflict",
    meaning: "the link was unpinned, but another process keeps it alive",
    hint: 'find the holder with "bpftool link" and end it',
  },
  SCHEMA_TOO_NEW: {
    kind: "precondition",
    meaning: "the database was written by a newer bpfman",
    hint: "use that version; nothing was changed",
  },
  DATABASE_UNUSABLE: {
    kind: "precondition",
    meaning: "the database cannot be opened or is damaged",
    hint: "mend what the message names, or give another --state-dir",
  },
  STATE_LOST: {
    kind: "precondition",
    meaning: "what bpfman remembers of running programs is missing or damaged",
    hint: "put the database back as it was, with its -wal; nothing was changed",
  },
  STATE_FOREIGN: {
    kind: "precondition",
    meaning: "the runtime directory belongs to another database",
    hint: "give the --state-dir that it belongs to, or another --runtime-dir",
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
  JIT_UNAVAILABLE: {
    kind: "precondition",
    meaning: "memory that is both writable and executable is refused, and calls into libc need it",
    hint: "under systemd remove MemoryDenyWriteExecute= from the unit",
  },
  CONTAINER_TOOL_MISSING: {
    kind: "precondition",
    meaning: "a container file was given, but no program is there that builds from it",
    hint: "install podman, or docker with buildx; without -f no such program is needed",
  },
  CONTAINER_BUILD_FAILED: {
    kind: "unavailable",
    meaning: "docker or podman could not build or push the image",
    hint: "what the tool printed says more",
  },
  VERIFIER_REJECTED: {
    kind: "invalid",
    meaning: "the kernel's verifier refused the program",
    hint: "the verifier's log shows each step up to the refusal",
  },
  LOAD_FAILED: {
    kind: "invalid",
    meaning: "libbpf or the kernel refused the object",
    advice: "the message is theirs: it names the map, program or symbol that they refused",
  },
  ATTACH_FAILED: {
    kind: "invalid",
    meaning: "the kernel refused the attachment",
    hint: 'the kernel\'s log may say more: "dmesg | tail"',
  },
  PERMISSION_DENIED: { kind: "permission", meaning: "the command needs root", hint: "run it with sudo" },
  KERNEL_REFUSED: {
    kind: "permission",
    meaning: "the kernel refused the operation by policy",
    advice: "lockdown, a security module or missing capabilities are in the way; the hint says which",
  },
  NOT_SUPPORTED: {
    kind: "unsupported",
    meaning: "this version of bpfman cannot do that",
    advice: "do without it; the hint says how",
  },
  KERNEL_UNSUPPORTED: {
    kind: "unsupported",
    meaning: "this kernel cannot do that",
    advice: 'use another kind of program, or another kernel: "bpfman version -o json" shows what this one can do',
  },
  KERNEL_CALL_FAILED: {
    kind: "unavailable",
    meaning: "a system call failed that does so only in unusual circumstances",
    hint: "try again; if it stays, report it with the command and --log-level debug",
  },
  IO_FAILED: {
    kind: "unavailable",
    meaning: "a file could not be written or removed",
    hint: "check that there is room and that this user may write there",
  },
  CANCELLED: {
    kind: "cancelled",
    meaning: "the operation was interrupted; what it had begun was undone",
    advice: "run it again when you like: what had begun was undone",
  },
  INTERNAL: {
    kind: "internal",
    meaning: "a mistake in bpfman",
    hint: "please report it, with the command and --log-level debug",
  },
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof ERROR_CODES;

export const rowOf = (code: ErrorCode): CodeRow => ERROR_CODES[code];
