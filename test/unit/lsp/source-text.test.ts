/** Programs and maps in the text of a source. */
import { expect, test } from "bun:test";
import { declaredIn, isForBpf } from "../../../lsp/source-text.ts";

const namesIn = (text: string) => declaredIn(text).map(({ kind, name, detail }) => `${kind} ${name} ${detail}`);

test.each([
  ['SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }', "program pass xdp"],
  ['SEC("xdp")\nint\npass(void *ctx)\n{ return 2; }', "program pass xdp"],
  ['SEC( "tcx/ingress" )\nstatic __always_inline int f(void *c) {}', "program f tcx/ingress"],
  ['SEC("kprobe/x") int BPF_KPROBE(on_x, int a) { }', "program on_x kprobe/x"],
  ['SEC("fentry/x") int BPF_PROG(BPF_NAME, int a) { }', "program BPF_NAME fentry/x"],
  ['SEC("xdp") __attribute__((noinline, flatten)) int f(void *c) {}', "program f xdp"],
  ['SEC("xdp") /* int old(void) */ int f(void *c) {} // }', "program f xdp"],
  ['struct { __uint(type, BPF_MAP_TYPE_HASH); } m SEC(".maps");', "map m BPF_MAP_TYPE_HASH"],
  ['struct inner { __uint(max_entries, 1); } m SEC(".maps"), n;', "map m "],
  ['extern struct x m SEC(".maps");', "map m "],
])("%j", (text, wanted) => expect(namesIn(text)).toEqual([wanted]));

test.each([
  'char _license[] SEC("license") = "GPL";',
  'SEC("xdp") int pass(void *ctx);',
  '// SEC("xdp") int f(void *c) {}',
  '/* SEC("xdp") int f(void *c) {} */',
  'const char *s = "SEC(\\"xdp\\") int f(void) {}";',
  '#define P(name) \\\n\tSEC("xdp") \\\n\tint name(void *c) { return 0; }\n',
  'SEC("xdp")',
  'SEC("xdp") int f(void *c)',
  'SEC(".rodata") const int x = 5; int f(void) {}',
  "",
])("nothing in %j", (text) => expect(namesIn(text)).toEqual([]));

test("places are those of the text, in UTF-16", () => {
  const text = '/* 𝄞 { */ SEC("xdp") int f(void *c) { if (1) { } /* } */ return 2; } int g;';
  const [program] = declaredIn(text);
  const { start = 0, end = 0, nameStart = 0, headEnd = 0 } = program ?? {};
  expect(text.slice(start, end)).toBe('SEC("xdp") int f(void *c) { if (1) { } /* } */ return 2; }');
  expect(text.slice(nameStart, nameStart + 1)).toBe("f");
  expect(text.slice(headEnd)).toStartWith("{ if");
});

test.each([
  ["bodies that do not end", 'SEC("xdp") int f(void *c) { ', 'struct { } m SEC(".maps")'],
  ["heads that do not end", 'SEC("xdp") int f(void *c) ', ""],
  ["braces that nothing opens", '} m SEC(".maps"); ', ""],
  ["maps in one another", 'struct { SEC(".maps") ', ""],
  ["arguments without an end", "f(", 'SEC("xdp") int g(void *c) { '],
])("%s: each is looked at once, however many there are", (_, part, end) => {
  // Where each looks through all others, this takes minutes, and the test its time limit.
  const text = `SEC("xdp") ${part.repeat(100_000)}${end}`;
  expect(declaredIn(text).every((each) => each.end <= text.length)).toBe(true);
});

test("what is typed halfway is found all the same", () => {
  const text = `${'SEC("xdp") int f(void *c) { '.repeat(5000)}struct { } m SEC(".maps")`;
  expect(declaredIn(text).length).toBe(5001);
});

test("which C is for eBPF", () => {
  expect(isForBpf("/a.bpf.c", "")).toBe(true);
  expect(isForBpf("/a.c", 'SEC("xdp") int f(void);')).toBe(true);
  expect(isForBpf("/a.c", "int SEC;")).toBe(false);
  expect(isForBpf("/a.h", 'SEC("xdp") int f(void);')).toBe(false);
});
