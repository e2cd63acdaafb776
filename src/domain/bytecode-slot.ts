/**
 * The places in a bytecode image that is made for several architectures: one platform each, with the names by which
 * users, build arguments and bpf2go's files speak of it.
 */

export interface BytecodeSlot {
  /** GOARCH: the architecture of an OCI platform, whose operating system is always linux. */
  readonly architecture: string;
  readonly byteOrder: "little" | "big";
  /** Build argument of a Containerfile that takes the object's path. */
  readonly buildArg: string;
  /** Words for the architecture in names of object files: GOARCH, and what cilium/ebpf's bpf2go writes instead. */
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

/** Build argument for the only object of an image. */
export const SINGLE_BUILD_ARG = "BYTECODE_FILE";

/** `linux/amd64` */
export const platformOf = (slot: BytecodeSlot): string => `linux/${slot.architecture}`;

export const PLATFORMS: readonly string[] = BYTECODE_SLOTS.map(platformOf);

/** Null for a platform that is not among them. */
export const slotOfPlatform = (platform: string): BytecodeSlot | null =>
  BYTECODE_SLOTS.find((each) => platformOf(each) === platform) ?? null;
