/**
 * The slots of a multi-architecture bytecode image: one per platform, with the names used for it by users, build
 * arguments and bpf2go's files.
 */

export interface BytecodeSlot {
  /** GOARCH: the architecture of an OCI platform. The operating system is always linux. */
  readonly architecture: string;
  readonly byteOrder: "little" | "big";
  /** Containerfile build argument for the path of the object file. */
  readonly buildArg: string;
  /** Words for the architecture in object file names: GOARCH, and what cilium/ebpf's bpf2go writes instead. */
  readonly fileWords: readonly string[];
}

const slot = (architecture: string, byteOrder: "little" | "big", ...fileWords: readonly string[]): BytecodeSlot => ({
  architecture,
  byteOrder,
  buildArg: `BC_${architecture.toUpperCase()}_${byteOrder === "little" ? "EL" : "EB"}`,
  fileWords: [...fileWords, architecture],
});

/** In the order in which images list them. */
export const BYTECODE_SLOTS: readonly BytecodeSlot[] = [
  slot("386", "little"),
  slot("amd64", "little", "x86"),
  slot("arm", "little"),
  slot("arm64", "little"),
  slot("loong64", "little", "loongarch"),
  slot("mips", "big"),
  slot("mipsle", "little"),
  slot("mips64", "big"),
  slot("mips64le", "little"),
  slot("ppc64", "big", "powerpc"),
  slot("ppc64le", "little", "powerpc"),
  slot("riscv64", "little", "riscv"),
  slot("s390x", "big", "s390"),
];

/** Containerfile build argument for the only object file of an image. */
export const SINGLE_BUILD_ARG = "BYTECODE_FILE";

/** `linux/amd64` */
export const platformOf = (slot: BytecodeSlot): string => `linux/${slot.architecture}`;

export const PLATFORMS: readonly string[] = BYTECODE_SLOTS.map(platformOf);

/** Returns null for a platform that is not listed. */
export const slotOfPlatform = (platform: string): BytecodeSlot | null =>
  BYTECODE_SLOTS.find((each) => platformOf(each) === platform) ?? null;
