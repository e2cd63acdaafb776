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

interface CodeRow {
  readonly kind: ErrorKind;
  readonly meaning: string;
  readonly hint?: string;
}

export const ERROR_CODES = {
  USAGE: { kind: "invalid", meaning: "the command line cannot be understood" },
  INVALID_REQUEST: { kind: "invalid", meaning: "a field of the request has a wrong type or value" },
  INVALID_CONFIG: {
    kind: "invalid",
    meaning: "the configuration file does not parse, or has an unknown key or a wrong type",
    hint: "mend the line named, or point --config at another file",
  },
  INVALID_PROGRAM: {
    kind: "invalid",
    meaning: "a --programs value is not TYPE:NAME, or TYPE:NAME:FUNCTION for fentry and fexit",
  },
  INVALID_GLOBAL: { kind: "invalid", meaning: "a --global value is not NAME=HEX, or its size is not the variable's" },
  INVALID_METADATA: { kind: "invalid", meaning: "a metadata value is not KEY=VALUE" },
  INVALID_SELECTOR: {
    kind: "invalid",
    meaning: "a --selector is not a list of terms such as key=value, key!=value, key in (a,b), key, !key",
  },
  INVALID_PRIORITY: { kind: "invalid", meaning: "a priority is not a whole number within its bounds" },
  INVALID_ATTACH: { kind: "invalid", meaning: "the options of an attach do not fit together" },
  INVALID_OBJECT: {
    kind: "invalid",
    meaning: "the file is not a loadable eBPF object",
    hint: "compile with clang -target bpf -O2 -g -c",
  },
  INVALID_BUILD: { kind: "invalid", meaning: "what an image is to be built from does not fit together" },
  GLOBAL_NOT_FOUND: { kind: "invalid", meaning: "the object has no global variable of that name" },
  FUNCTION_NOT_FOUND: { kind: "invalid", meaning: "the object has no program of that name" },
  PROGRAM_TYPE_MISMATCH: { kind: "invalid", meaning: "the program is of another type than the one asked for" },
  INVALID_REFERENCE: { kind: "invalid", meaning: "an image is not named as REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST" },
  INVALID_CREDENTIALS: { kind: "invalid", meaning: "credentials for a registry are not in the form they should have" },
  INVALID_IMAGE: { kind: "invalid", meaning: "the image is no bytecode image, or one that is put together wrongly" },
  IMAGE_DAMAGED: {
    kind: "invalid",
    meaning: "content of an image does not have the digest or size it was announced with",
    hint: "try again; if it stays, the registry has it damaged",
  },
  IMAGE_PLATFORM_MISSING: { kind: "invalid", meaning: "the image has nothing for this machine's architecture" },
  PROGRAM_NOT_IN_IMAGE: { kind: "invalid", meaning: "the image's labels name no program of that name" },
  IMAGE_NOT_FOUND: { kind: "not-found", meaning: "the registry has no such image or tag" },
  IMAGE_NOT_CACHED: {
    kind: "not-found",
    meaning: "the image was never pulled, and the pull policy forbids to pull it",
    hint: 'pull it with "bpfman image pull", or use pull policy IfNotPresent',
  },
  REGISTRY_DENIED: { kind: "permission", meaning: "the registry wants credentials, or other ones" },
  REGISTRY_CERTIFICATE: {
    kind: "precondition",
    meaning: "the registry's certificate is not trusted",
    hint: "give the certificate of its authority with --ca-file",
  },
  REGISTRY_UNREACHABLE: {
    kind: "unavailable",
    meaning: "no connection to the registry could be made, or it broke off",
  },
  REGISTRY_FAILED: { kind: "unavailable", meaning: "the registry answers with an error, or not as registries do" },
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
  FILE_NOT_FOUND: { kind: "not-found", meaning: "a file named by the user is not there" },
  FILE_UNREADABLE: { kind: "invalid", meaning: "a file named by the user cannot be read, or is no regular file" },
  PROGRAM_NOT_FOUND: { kind: "not-found", meaning: "no program has that id", hint: 'see "bpfman list programs"' },
  PROGRAM_NOT_MANAGED: {
    kind: "not-found",
    meaning: "the kernel has a program of that id, but bpfman did not load it",
    hint: 'see "bpfman list programs"',
  },
  LINK_NOT_FOUND: { kind: "not-found", meaning: "no link has that id", hint: 'see "bpfman list links"' },
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
  INTERFACE_NOT_FOUND: { kind: "not-found", meaning: "no network interface has that name in that namespace" },
  NETNS_NOT_FOUND: { kind: "not-found", meaning: "the path given is no network namespace" },
  TRACEPOINT_NOT_FOUND: { kind: "not-found", meaning: "the kernel has no tracepoint of that name" },
  SYMBOL_NOT_FOUND: { kind: "not-found", meaning: "the target has no function of that name" },
  TARGET_NOT_FOUND: {
    kind: "not-found",
    meaning: "the uprobe target is no file, and no library of that name was found",
  },
  PROCESS_NOT_FOUND: { kind: "not-found", meaning: "no process has that pid" },
  MAP_MISMATCH: {
    kind: "conflict",
    meaning: "a map that is to be shared has another shape in the object than in the kernel",
  },
  ALREADY_ATTACHED: { kind: "conflict", meaning: "the same program is already attached to that hook" },
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
  STATE_CONFLICT: { kind: "conflict", meaning: "the kernel, the pins and the database do not agree" },
  MAP_OWNER_IN_USE: {
    kind: "conflict",
    meaning: "other programs use the maps of the program to be deleted",
    hint: "add --recursive to delete them too, or unload this one alone: its maps then stay until their last user goes",
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
  DATABASE_UNUSABLE: { kind: "precondition", meaning: "the database cannot be opened or is damaged" },
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
  BPFFS_UNAVAILABLE: { kind: "precondition", meaning: "the BPF file system cannot be mounted" },
  TRACEFS_UNAVAILABLE: { kind: "precondition", meaning: "the tracing file system cannot be mounted" },
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
  CONTAINER_BUILD_FAILED: { kind: "unavailable", meaning: "docker or podman could not build or push the image" },
  VERIFIER_REJECTED: {
    kind: "invalid",
    meaning: "the kernel's verifier refused the program",
    hint: "the verifier's log shows each step up to the refusal",
  },
  LOAD_FAILED: { kind: "invalid", meaning: "libbpf or the kernel refused the object" },
  ATTACH_FAILED: { kind: "invalid", meaning: "the kernel refused the attachment" },
  PERMISSION_DENIED: { kind: "permission", meaning: "the command needs root", hint: "run it with sudo" },
  KERNEL_REFUSED: { kind: "permission", meaning: "the kernel refused the operation by policy" },
  NOT_SUPPORTED: { kind: "unsupported", meaning: "this version of bpfman cannot do that" },
  KERNEL_UNSUPPORTED: { kind: "unsupported", meaning: "this kernel cannot do that" },
  KERNEL_CALL_FAILED: {
    kind: "unavailable",
    meaning: "a system call failed that does so only in unusual circumstances",
  },
  IO_FAILED: { kind: "unavailable", meaning: "a file could not be written or removed" },
  CANCELLED: { kind: "cancelled", meaning: "the operation was interrupted; what it had begun was undone" },
  INTERNAL: {
    kind: "internal",
    meaning: "a mistake in bpfman",
    hint: "please report it, with the command and --log-level debug",
  },
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof ERROR_CODES;

export const rowOf = (code: ErrorCode): CodeRow => ERROR_CODES[code];
