import { describe, expect, test } from "bun:test";
import { takenFlags, wordsOf } from "../../../src/compiler/compile-flags.ts";
import { parseDiagnostics } from "../../../src/compiler/diagnostics.ts";

describe("of the flags in a compilation database", () => {
  test.each([
    [
      "-Iinclude -I ../up -isystem /usr/x -iquote q -include pre.h",
      "-I /p/include -I /up -isystem /usr/x -iquote /p/q -include /p/pre.h",
    ],
    ["-DA -D B=1 -DC(x)=x -UD -U E", "-DA -DB=1 -DC(x)=x -UD -UE"],
    [
      "-std=gnu11 -O2 -Os -g -g3 -Wall -Wno-unused -Wformat=2 -W -mcpu=v3",
      "-std=gnu11 -O2 -Os -g -g3 -Wall -Wno-unused -Wformat=2 -W -mcpu=v3",
    ],
    ["-target bpf --target=bpfel -target=bpf", "--target=bpf --target=bpfel --target=bpf"],
    // A file named like an option or a list of options is a path like any other.
    ["-I @x -include @y -I -B/z", "-I /p/@x -include /p/@y -I /p/-B/z"],
  ])("%s is taken", (given, taken) => expect(takenFlags(given.split(" "), "/p").join(" ")).toBe(taken));

  test.each([
    "-Xclang -load",
    "-fplugin=/x.so",
    "-fplugin=/x.so -c",
    "-B/x",
    "-B /x",
    "--config /x",
    "--config=/x",
    "@file",
    "-Wl,-x",
    "-Wa,-x",
    "-Wp,-MD,/x",
    "-o /x",
    "-MF /x",
    "-save-temps=/x",
    "-ftime-trace=/x",
    "-target x86_64-linux-gnu",
    "--target=x86_64",
    "-mcpu=help",
    "-mllvm -x",
    "-D 1=x",
    "-include",
    "-std=c++17",
    "-Ofast",
    "-resource-dir=/x",
    "--sysroot=/x",
    "-specs=/x",
    "/p/file.c",
  ])("%s is not", (given) => expect(takenFlags(given.split(" "), "/p")).toEqual([]));
});

test.each([
  [String.raw`cc  -DA=\"x\" '-DB=a b' "-DC=$d" e\ f`, ["cc", '-DA="x"', "-DB=a b", "-DC=$d", "e f"]],
  ["", []],
  ["'' \"\"", ["", ""]],
  ["'open", ["open"]],
])("the command %s is split as a shell does", (command, words) => expect(wordsOf(command)).toEqual(words));

test("diagnostics are found between the lines that illustrate them", () => {
  const output = `In file included from /p/a.c:1:
/p/a b.h:3:5: warning: unused variable 'x' [-Wunused-variable]
        int x;
            ^
/p/a.c:7:9: fatal error: 'none.h' file not found
clang: error: no such file or directory: '/p/a.c'
1 error generated.
`;
  const place = (file: string | null, line: number | null, column: number | null) => ({ file, line, column });
  expect(parseDiagnostics(output)).toEqual([
    { severity: "warning", message: "unused variable 'x'", option: "-Wunused-variable", ...place("/p/a b.h", 3, 5) },
    { severity: "error", message: "'none.h' file not found", option: null, ...place("/p/a.c", 7, 9) },
    { severity: "error", message: "no such file or directory: '/p/a.c'", option: null, ...place(null, null, null) },
  ]);
});
