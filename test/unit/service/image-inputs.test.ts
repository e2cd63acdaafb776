import { describe, expect, test } from "bun:test";
import { BYTECODE_SLOTS } from "../../../src/domain/bytecode-slot.ts";
import { inputsOf } from "../../../src/service/image/inputs.ts";
import { failureOf } from "../../expect/failure.ts";

const none = (): string[] => {
  throw new Error("no directory is to be read");
};

const nothing = { file: null, project: null, files: null };

/** Platform and path of each input of a directory with these files. */
const project = (...names: readonly string[]) =>
  inputsOf({ ...nothing, project: "./p/" }, () => names).map(({ slot, buildArg, path }) => [
    slot?.architecture,
    buildArg,
    path,
  ]);

test("build arguments are those that Containerfiles for bytecode know", () => {
  expect(BYTECODE_SLOTS.map(({ buildArg }) => buildArg)).toEqual([
    ...["BC_386_EL", "BC_AMD64_EL", "BC_ARM_EL", "BC_ARM64_EL", "BC_LOONG64_EL", "BC_MIPS_EB", "BC_MIPSLE_EL"],
    ...["BC_MIPS64_EB", "BC_MIPS64LE_EL", "BC_PPC64_EB", "BC_PPC64LE_EL", "BC_RISCV64_EL", "BC_S390X_EB"],
  ]);
});

test("a single file is for this machine", () => {
  expect(inputsOf({ ...nothing, file: "./x.o" }, none)).toEqual([
    { slot: null, buildArg: "BYTECODE_FILE", path: "./x.o" },
  ]);
});

test("files for platforms keep the order they were given in", () => {
  const files = [
    { platform: "linux/s390x", file: "b.o" },
    { platform: "linux/amd64", file: "a.o" },
  ];
  const inputs = inputsOf({ ...nothing, files }, none);
  expect(inputs.map(({ buildArg, path }) => [buildArg, path])).toEqual([
    ["BC_S390X_EB", "b.o"],
    ["BC_AMD64_EL", "a.o"],
  ]);
});

describe("a cilium/ebpf project", () => {
  test("is taken in the order of platforms, whatever the directory's, and leaves other files alone", () => {
    expect(project("gen.go", "bpf_s390_bpfeb.o", "bpf_x86_bpfel.o", "bpf_x86_bpfel.go")).toEqual([
      ["amd64", "BC_AMD64_EL", "p/bpf_x86_bpfel.o"],
      ["s390x", "BC_S390X_EB", "p/bpf_s390_bpfeb.o"],
    ]);
  });
  test.each([
    ["bpf_386_bpfel.o", "386"],
    ["bpf_x86_bpfel.o", "amd64"],
    ["counter-amd64.bpfel.o", "amd64"],
    ["bpf_arm_bpfel.o", "arm"],
    ["bpf_arm64_bpfel.o", "arm64"],
    ["bpf_loongarch_bpfel.o", "loong64"],
    ["bpf_mips_bpfeb.o", "mips"],
    ["bpf_mipsle_bpfel.o", "mipsle"],
    ["bpf_mips64_bpfeb.o", "mips64"],
    ["bpf_mips64le_bpfel.o", "mips64le"],
    ["bpf_powerpc_bpfeb.o", "ppc64"],
    ["bpf_powerpc_bpfel.o", "ppc64le"],
    ["bpf_riscv_bpfel.o", "riscv64"],
    ["bpf_s390_bpfeb.o", "s390x"],
    ["BPF_X86_BPFEL.o", "amd64"],
    // The word before the byte order counts, where bpf2go writes it; without one there, any other word does.
    ["arm_counter_x86_bpfel.o", "amd64"],
    ["x86-counter_bpfel.o", "amd64"],
    ["bpfel_x86.o", "amd64"],
  ])("%s is for %s", (name, architecture) => {
    expect(project(name)).toEqual([[architecture, expect.any(String), `p/${name}`]]);
  });
  test.each([
    ["counter.o", "its name does not say the platform"],
    ["bpf_bpfel.o", "its name does not say the platform"],
    ["bpf_x86.o", "its name does not say the platform"],
    ["bpf_x86_bpfeb.o", "its name does not say the platform"],
    ["bpf_x86bpfel.o", "its name does not say the platform"],
    ["charm_bpfel.o", "its name does not say the platform"],
    ["arm_x86_counter_bpfel.o", "it names linux/amd64 and linux/arm"],
  ])("%s is rejected: %s", (name, reason) => {
    const error = failureOf(() => project(name));
    expect(error).toMatchObject({
      code: "INVALID_BUILD",
      message: `unrecognised cilium/ebpf bytecode file "p/${name}": ${reason}`,
    });
    for (const known of ["x86_bpfel.o", "powerpc_bpfeb.o", "s390_bpfeb.o"]) expect(error.hint).toContain(known);
  });
  test("without object files is rejected", () => {
    const error = failureOf(() => project("main.go"));
    expect(error).toMatchObject({
      code: "INVALID_BUILD",
      message: 'read project "./p/": there is no object file (*.o) in it',
    });
  });
});

test("two objects for one platform are rejected", () => {
  const wanted = {
    code: "INVALID_BUILD",
    message: 'choose the object for linux/amd64: there are "p/a_x86_bpfel.o" and "p/b_x86_bpfel.o"',
  };
  expect(failureOf(() => project("b_x86_bpfel.o", "a_x86_bpfel.o"))).toMatchObject(wanted);
  const files = ["p/a_x86_bpfel.o", "p/b_x86_bpfel.o"].map((file) => ({ platform: "linux/amd64", file }));
  expect(failureOf(() => inputsOf({ ...nothing, files }, none))).toMatchObject(wanted);
});
