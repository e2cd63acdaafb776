import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { functionIds, functionName } from "../../../src/kernel/explain/kernel-btf.ts";
import { CALLER_BTF } from "../../../src/kernel/explain/trial-programs.ts";
import { sh } from "../../labs/kernel-lab.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();

describe("functions", () => {
  test("by name; a type of that name, or part of a name, is none", () => {
    const found = functionIds(CALLER_BTF, ["slot", "caller", "xdp_md", "int", "call", "nothing"]);
    expect([...found]).toEqual([
      ["caller", 5],
      ["slot", 6],
    ]);
  });

  test("in BTF that is cut off anywhere, those before the cut at most", () => {
    for (let length = 0; length < CALLER_BTF.length; length++) {
      for (const [name, id] of functionIds(CALLER_BTF.slice(0, length), ["caller", "slot"])) {
        expect(id).toBe(name === "caller" ? 5 : 6);
      }
    }
  });

  test("an unknown kind ends the search, and a wrong magic number prevents it", () => {
    const unknownKind = CALLER_BTF.slice();
    // Type 2 follows the header and the 16 bytes of type 1; the kind is in the top byte of its second word.
    unknownKind[24 + 16 + 7] = 63;
    expect(functionIds(unknownKind, ["slot"]).size).toBe(0);
    const otherMagic = CALLER_BTF.slice();
    otherMagic[0] = 0;
    expect(functionIds(otherMagic, ["slot"]).size).toBe(0);
  });

  test("every kind has the length that bpftool gives it: the ids agree with its own", () => {
    // Compiled C has all kinds but those of BPF declarations; the object's own BTF is read back by bpftool.
    const source = directory.path("kinds.c");
    writeFileSync(
      source,
      `struct one { int a[3]; const char *b; enum { RED, BLUE } c; enum { BIG = 1ULL << 40 } d; };
union two { volatile float f; struct later *g; };
typedef int (*callback)(struct one *, union two *restrict);
int counter = 1; static const long limit = 2;
__attribute__((noinline)) int first(struct one *x, union two *y, callback z) { return z(x, y) + counter; }
int last(void) { return (int)limit + counter; }
`,
    );
    sh("clang", "-g", "-O1", "-target", "bpf", "-c", source, "-o", directory.path("kinds.o"));
    sh("llvm-objcopy", "--dump-section", `.BTF=${directory.path("kinds.btf")}`, directory.path("kinds.o"), "/dev/null");
    const dump = JSON.parse(sh("bpftool", "-j", "btf", "dump", "file", directory.path("kinds.o")));
    const expected = (dump.types as { id: number; kind: string; name: string }[])
      .filter(({ kind }) => kind === "FUNC")
      .map(({ id, name }) => [name, id]);
    expect(expected.map(([name]) => name).toSorted()).toEqual(["first", "last"]);
    const bytes = readFileSync(directory.path("kinds.btf"));
    expect([...functionIds(bytes, ["first", "last", "one", "counter"])]).toEqual(expected as [string, number][]);
    for (const { id, kind, name } of dump.types as { id: number; kind: string; name: string }[]) {
      expect([id, functionName(bytes, id)]).toEqual([id, kind === "FUNC" ? name : null]);
    }
    expect(functionName(bytes, 0)).toBeNull();
    expect(functionName(bytes, dump.types.length + 1)).toBeNull();
  });
});
