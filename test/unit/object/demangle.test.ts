/** Names of C++ and Rust functions as people write them, beside what compilers make of them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mangledPart, qualifiedName } from "../../../src/object/demangle.ts";
import { findSymbols, symbolNames } from "../../../src/object/symbols.ts";
import { randomFrom, SEED } from "../../objects/damage.ts";
import { fileSource } from "../../objects/file-source.ts";

const SOURCE = `
namespace std { template <class T> struct pair2 { T a; }; void hook(int) { asm(""); } }
enum Mode { A, B };
template <int N, class T> struct Box { __attribute__((noinline)) int get(T x) { asm(""); return N + (int)x; } };
template <Mode M> struct Moded { __attribute__((noinline)) int of() { asm(""); return M; } };
namespace app {
  struct Server {
    int n;
    Server(int n);
    virtual ~Server();
    int handle(int x);
    int handle(long x, const char *y) const;
    template <class T> __attribute__((noinline)) int call(T x) { asm(""); return (int)x; }
  };
  Server::Server(int n) : n(n) {}
  Server::~Server() { asm(""); }
  int Server::handle(int x) { return x + n; }
  int Server::handle(long x, const char *y) const { return (int)x + *y; }
  namespace { __attribute__((noinline, used)) int secret(int x) { asm(""); return x; } }
  static __attribute__((noinline, used)) int local(int x) { asm(""); return x; }
  int alone(Server *s, std::pair2<char> p) { Box<42, char> a; Box<-1, long> b; Moded<B> m;
    return s->call(1) + s->call('c') + a.get(p.a) + b.get(2) + m.of() + secret(1) + local(2); }
}
int plain(int x) { return x; }
extern "C" int main() { return 0; }
`;

let directory = "";
let binary = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-demangle-"));
  binary = join(directory, "main");
  writeFileSync(join(directory, "main.cc"), SOURCE);
  const flags = ["-O1", "-nostdlib", "-fno-rtti", "-fno-exceptions", "-shared", "-fPIC", "-Wl,-z,undefs"];
  const { exitCode, stderr } = Bun.spawnSync(["clang++", ...flags, "-o", binary, join(directory, "main.cc")]);
  if (exitCode !== 0) throw new Error(`clang++ failed: ${stderr}`);
});
afterAll(() => rmSync(directory, { recursive: true }));

function find(name: string): string[] {
  const source = fileSource(binary);
  try {
    return findSymbols(source, name).map((found) => found.name);
  } finally {
    source.close();
  }
}

test("functions of a C++ library, by the names in its source", () => {
  expect(find("plain")).toEqual(["_Z5plaini"]);
  expect(find("main")).toEqual(["main"]);
  expect(find("app::local")).toEqual(["_ZN3appL5localEi"]);
  expect(find("app::(anonymous namespace)::secret")).toEqual(["_ZN3app12_GLOBAL__N_16secretEi"]);
  expect(find("std::hook")).toEqual(["_ZSt4hooki"]);
  expect(find("Moded::of")).toEqual(["_ZN5ModedIL4Mode1EE2ofEv"]);
  // Both constructors have one place.
  expect(find("app::Server::Server")).toHaveLength(1);
  expect(find("app::Server::~Server").length).toBeGreaterThan(0);
  expect(find("app::Server::nothing")).toEqual([]);
  expect(find("Server::handle")).toEqual([]);
});

test("functions with the same name are told apart by their mangled names", () => {
  expect(find("app::Server::handle").sort()).toEqual(["_ZN3app6Server6handleEi", "_ZNK3app6Server6handleElPKc"]);
  expect(find("app::Server::call").sort()).toEqual(["_ZN3app6Server4callIcEEiT_", "_ZN3app6Server4callIiEEiT_"]);
  expect(find("Box::get").sort()).toEqual(["_ZN3BoxILi42EcE3getEc", "_ZN3BoxILin1ElE3getEl"]);
  expect(find("_ZN3app6Server6handleEi")).toEqual(["_ZN3app6Server6handleEi"]);
});

test("they are suggested by both names", () => {
  const source = fileSource(binary);
  expect([...symbolNames(source)]).toEqual(expect.arrayContaining(["app::Server::handle", "_ZN3app6Server6handleEi"]));
  source.close();
});

test("Rust's older names lose their hash", () => {
  expect(qualifiedName("_ZN4core3fmt5write17h0123456789abcdefE")).toBe("core::fmt::write");
  expect(qualifiedName("_ZN47_$LT$app..Server$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE")).toBe(
    "<app::Server as core::ops::Drop>::drop",
  );
});

test("a name that is not a function's, or is cut short, has no such form", () => {
  const others = ["", "_Z", "_ZN", "_ZN3app", "_ZN3appE", "_ZN99999app3fooEi", "main", "_ZN3app5valueE", "_ZplRK1AS1_"];
  others.push("_ZZN3app3fooEvENKUlvE_clEv", "_ZN3app6ServerpLEi", "_ZN3app3fooEi.isra.0", "_ZTV6Server", "_ZN3BoxI");
  for (const name of others) expect([name, qualifiedName(name)]).toEqual([name, null]);
  expect(mangledPart("app::operator+")).toBeNull();
  expect(mangledPart("")).toBeNull();
});

test("any other text is read quickly, or given up", () => {
  const random = randomFrom(SEED);
  const letters = "NIELSTDCJXFA_Zt0123456789abcKrB$.h";
  const begin = performance.now();
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: random(60) }, () => letters[random(letters.length)]).join("");
    expect(qualifiedName(`_Z${text}`)).not.toBe("");
  }
  for (const piece of ["I", "NI", "1aI", "L", "S_", "T1_", "D", "N1aE", "A1_"])
    qualifiedName(`_ZN1a${piece.repeat(8000)}`);
  expect(performance.now() - begin).toBeLessThan(10_000);
});
