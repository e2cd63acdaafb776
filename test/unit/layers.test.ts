/**
 * Each layer rule of biome.json must fire on an offending import and stay quiet on a permitted one. The linter does not see
 * `require(…)`, so what the product fetches that way is put before the same rules as an import.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

interface Layer {
  readonly file: string;
  readonly allowed: readonly string[];
  readonly refused: readonly string[];
}

const SYSTEM_ADAPTER = {
  allowed: [
    "./x.ts",
    "../domain/ids.ts",
    "../errors/error.ts",
    "../platform/lock.ts",
    "../../ffi/safe/x.ts",
    "node:fs",
  ],
  refused: [
    "../service/operations.ts",
    "../store/x.ts",
    "../cli/x.ts",
    "../runtime.ts",
    "../object/x.ts",
    "../../ffi/raw/x.ts",
    "../../ffi/layout/x.ts",
    "../../ffi/memory.ts",
    "bun:ffi",
    "bun:sqlite",
    "valibot",
  ],
};
const PURE = {
  allowed: ["./x.ts", "../domain/ids.ts", "../errors/error.ts"],
  refused: [
    "../platform/files.ts",
    "../service/x.ts",
    "../kernel/x.ts",
    "../../ffi/safe/x.ts",
    "node:fs",
    "bun:sqlite",
  ],
};
const SERVICE_REFUSED = ["node:fs", "node:os", "bun:ffi", "bun:sqlite"];

const LAYERS: readonly Layer[] = [
  {
    file: "src/domain/probe.ts",
    allowed: ["./ids.ts"],
    refused: [
      "../errors/error.ts",
      "../platform/files.ts",
      "../service/x.ts",
      "../runtime.ts",
      "valibot",
      "node:fs",
      "bun",
    ],
  },
  { file: "src/errors/probe.ts", ...PURE },
  {
    file: "src/platform/probe.ts",
    allowed: [...PURE.allowed, "../../ffi/link-facts.ts"],
    refused: ["../service/x.ts", "../kernel/x.ts", "../../ffi/safe/x.ts", "node:fs", "bun:ffi"],
  },
  {
    file: "src/object/probe.ts",
    allowed: [...PURE.allowed, "../platform/files.ts"],
    refused: [
      "../platform/kernel.ts",
      "../service/x.ts",
      "../files/x.ts",
      "../../ffi/safe/x.ts",
      "node:fs",
      "bun:sqlite",
    ],
  },
  { file: "src/dispatcher/probe.ts", ...PURE },
  {
    file: "src/service/probe.ts",
    allowed: [
      "./x.ts",
      "./operations/x.ts",
      "../domain/ids.ts",
      "../errors/error.ts",
      "../platform/files.ts",
      "../object/x.ts",
      "../dispatcher/x.ts",
      "../inspect/x.ts",
      "valibot",
    ],
    refused: [
      ...SERVICE_REFUSED,
      "../kernel/x.ts",
      "../store/x.ts",
      "../cli/x.ts",
      "../runtime.ts",
      "../../ffi/safe/x.ts",
      "../../rpc/x.ts",
    ],
  },
  {
    file: "src/service/operations/probe.ts",
    allowed: [
      "./x.ts",
      "../plan.ts",
      "../load/x.ts",
      "../../domain/ids.ts",
      "../../errors/error.ts",
      "../../platform/files.ts",
      "../../inspect/x.ts",
      "valibot",
    ],
    refused: [
      ...SERVICE_REFUSED,
      "../../kernel/x.ts",
      "../../store/x.ts",
      "../../cli/x.ts",
      "../../runtime.ts",
      "../../../ffi/safe/x.ts",
    ],
  },
  {
    file: "src/inspect/probe.ts",
    allowed: ["./x.ts", "../domain/ids.ts", "../platform/kernel.ts", "../object/x.ts", "../dispatcher/x.ts"],
    refused: ["../service/operations.ts", "../kernel/x.ts", "node:fs", "../../ffi/safe/x.ts"],
  },
  { file: "src/kernel/probe.ts", ...SYSTEM_ADAPTER },
  {
    file: "src/kernel/load/probe.ts",
    allowed: [
      "./x.ts",
      "../pin.ts",
      "../explain/x.ts",
      "../../domain/ids.ts",
      "../../errors/error.ts",
      "../../platform/kernel.ts",
      "../../../ffi/safe/x.ts",
      "../../../dist/bpf/x.bpf.o",
      "node:fs",
    ],
    refused: [
      "../../service/operations.ts",
      "../../store/x.ts",
      "../../runtime.ts",
      "../../object/x.ts",
      "../../../ffi/raw/x.ts",
      "../../../ffi/memory.ts",
      "bun:ffi",
      "bun:sqlite",
      "valibot",
    ],
  },
  { file: "src/bpffs/probe.ts", ...SYSTEM_ADAPTER },
  { file: "src/network/probe.ts", ...SYSTEM_ADAPTER },
  { file: "src/lock/probe.ts", ...SYSTEM_ADAPTER },
  {
    file: "src/files/probe.ts",
    allowed: [...SYSTEM_ADAPTER.allowed, "../object/linker-cache.ts"],
    refused: SYSTEM_ADAPTER.refused,
  },
  {
    file: "src/store/probe.ts",
    allowed: [
      "./x.ts",
      "../domain/ids.ts",
      "../errors/error.ts",
      "../platform/store.ts",
      "../../ffi/safe/file-system.ts",
      "bun:sqlite",
      "node:fs",
    ],
    refused: ["bun:ffi", "../service/x.ts", "../kernel/x.ts", "../../ffi/safe/x.ts", "valibot"],
  },
  ...["compiler", "config", "image", "log"].map((directory) => ({
    file: `src/${directory}/probe.ts`,
    allowed: ["./x.ts", "../domain/ids.ts", "../errors/error.ts", "../platform/files.ts", "node:fs", "smol-toml"],
    refused: ["bun:ffi", "bun:sqlite", "../service/x.ts", "../kernel/x.ts", "../../ffi/safe/x.ts"],
  })),
  {
    file: "src/image/signature/probe.ts",
    allowed: [
      "./x.ts",
      "../repository.ts",
      "../../domain/ids.ts",
      "../../errors/error.ts",
      "../../platform/images.ts",
      "@sigstore/verify",
      "re2js",
      "valibot",
      "node:crypto",
    ],
    refused: [
      "bun:ffi",
      "bun:sqlite",
      "../../config/x.ts",
      "../../service/x.ts",
      "../../kernel/x.ts",
      "../../../ffi/safe/x.ts",
      "@sigstore/core",
      "smol-toml",
    ],
  },
  {
    file: "src/cli/probe.ts",
    allowed: [
      "./x.ts",
      "./a/x.ts",
      "../domain/ids.ts",
      "../errors/error.ts",
      "../service/operations.ts",
      "../service/invoke.ts",
      "node:path",
    ],
    refused: [
      "../service/requests/load-request.ts",
      "../service/plan.ts",
      "../kernel/x.ts",
      "../store/x.ts",
      "../runtime.ts",
      "../../ffi/safe/x.ts",
      "bun:sqlite",
      "valibot",
    ],
  },
  {
    file: "src/cli/commands/probe.ts",
    allowed: [
      "./x.ts",
      "../x.ts",
      "../render/x.ts",
      "../../domain/ids.ts",
      "../../service/operations.ts",
      "../../service/invoke.ts",
    ],
    refused: [
      "../../service/requests/load-request.ts",
      "../../kernel/x.ts",
      "../../platform/kernel.ts",
      "../../runtime.ts",
      "bun:ffi",
    ],
  },
  {
    file: "rpc/probe.ts",
    allowed: [
      "./x.ts",
      "../src/domain/ids.ts",
      "../src/errors/error.ts",
      "../src/service/operations.ts",
      "../src/service/invoke.ts",
      "../src/service/session.ts",
      "vscode-jsonrpc/node",
      "valibot",
      "@valibot/to-json-schema",
    ],
    refused: [
      "./client/client.ts",
      "../src/service/requests/load-request.ts",
      "../src/kernel/x.ts",
      "../src/runtime.ts",
      "../src/cli/x.ts",
      "../ffi/safe/x.ts",
      "bun:ffi",
    ],
  },
  {
    file: "src/grpc/probe.ts",
    allowed: [
      "./x.ts",
      "./generated/x.ts",
      "../domain/ids.ts",
      "../errors/error.ts",
      "../service/operations.ts",
      "../service/invoke.ts",
      "../service/session.ts",
      "../../rpc/change-queue.ts",
      "@bufbuild/protobuf",
      "node:http2",
    ],
    refused: [
      "../service/requests/load-request.ts",
      "../kernel/x.ts",
      "../platform/kernel.ts",
      "../runtime.ts",
      "../cli/x.ts",
      "../../rpc/server.ts",
      "../../ffi/safe/x.ts",
      "vscode-jsonrpc/node",
      "bun:ffi",
    ],
  },
  {
    file: "rpc/client/probe.ts",
    allowed: ["./x.ts", "../protocol.ts", "../../src/domain/ids.ts", "vscode-jsonrpc/node", "node:stream"],
    refused: ["../server.ts", "../schemas.ts", "../../src/service/invoke.ts", "../../src/errors/error.ts", "valibot"],
  },
  {
    file: "lsp/probe.ts",
    allowed: [
      "./x.ts",
      "../src/domain/ids.ts",
      "../src/errors/error.ts",
      "../src/platform/compiler.ts",
      "../src/platform/host.ts",
      "../src/service/invoke.ts",
      "../rpc/client/client.ts",
      "../rpc/protocol.ts",
      "vscode-languageserver",
      "vscode-languageserver-textdocument",
      "vscode-jsonrpc/node",
      "valibot",
      "node:url",
    ],
    refused: [
      "../rpc/server.ts",
      "../src/service/operations/check.ts",
      "../src/compiler/open-compiler.ts",
      "../src/platform/kernel.ts",
      "../src/kernel/x.ts",
      "../src/runtime.ts",
      "../src/cli/x.ts",
      "../ffi/safe/x.ts",
      "vscode-languageserver/node",
      "bun:ffi",
    ],
  },
  {
    file: "src/main.ts",
    allowed: [
      "./runtime.ts",
      "./cli/x.ts",
      "./grpc/x.ts",
      "../rpc/x.ts",
      "../lsp/x.ts",
      "./errors/error.ts",
      "../ffi/safe/file-system.ts",
    ],
    refused: ["./service/invoke.ts", "./kernel/x.ts", "../ffi/safe/x.ts", "bun:ffi"],
  },
  {
    file: "src/runtime.ts",
    allowed: ["./kernel/x.ts", "./store/x.ts", "./service/x.ts"],
    refused: ["bun:ffi", "bun:sqlite"],
  },
  { file: "src/build-info.ts", allowed: [], refused: ["./errors/error.ts", "node:fs"] },
  {
    file: "ffi/probe.ts",
    allowed: ["./x.ts", "bun:ffi"],
    refused: ["../src/errors/error.ts", "./safe/x.ts", "bun:sqlite"],
  },
  {
    file: "ffi/raw/probe.ts",
    allowed: ["./x.ts", "../x.ts", "bun:ffi"],
    refused: ["../safe/x.ts", "../../src/domain/ids.ts"],
  },
  {
    file: "ffi/layout/probe.ts",
    allowed: ["./x.ts", "../memory.ts"],
    refused: ["bun:ffi", "../raw/x.ts", "../safe/x.ts", "../../src/domain/ids.ts"],
  },
  {
    file: "ffi/safe/probe.ts",
    allowed: ["./x.ts", "../memory.ts", "../raw/x.ts", "../layout/x.ts", "bun:ffi", "node:fs"],
    refused: ["../../src/errors/error.ts", "../../src/domain/ids.ts", "bun:sqlite"],
  },
  { file: "test/probe.ts", allowed: ["../src/runtime.ts", "bun:test"], refused: ["bun:ffi"] },
  { file: "scripts/probe.ts", allowed: ["../src/errors/codes.ts", "node:fs"], refused: ["bun:ffi", "bun:sqlite"] },
];

/** One form of import a line, so that a finding's line tells which one it was. */
const FORMS = [
  (path: string) => `import { a } from "${path}"; console.log(a);`,
  (path: string) => `import type { a } from "${path}"; export type B = a;`,
  (path: string) => `export const load = () => import("${path}");`,
];

let directory = "";
/** `file:line` of every finding of the import rule. */
let findings = new Set<string>();

/** Writes the files below a directory of its own, and answers where the linter finds a forbidden import in them. */
function lintImports(name: string, files: ReadonlyMap<string, readonly string[]>): Set<string> {
  const root = join(directory, name);
  mkdirSync(root);
  copyFileSync(join(ROOT, "biome.json"), join(root, "biome.json"));
  for (const [file, lines] of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `${lines.join("\n")}\n`);
  }
  const lint = Bun.spawnSync(
    [
      join(ROOT, "node_modules/.bin/biome"),
      ...["lint", "--only=style/noRestrictedImports", "--reporter=github", "--max-diagnostics=none", "."],
    ],
    { cwd: root },
  );
  const pattern = /^::\w+ title=lint\/style\/noRestrictedImports,file=([^,]+),line=(\d+),/gm;
  return new Set(
    [...lint.stdout.toString().matchAll(pattern)].map(([, file = "", line]) => `${relative(root, file)}:${line}`),
  );
}

beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-layers-")));
  const probes = LAYERS.map((layer): [string, readonly string[]] => [
    layer.file,
    [...layer.allowed, ...layer.refused].flatMap((target) => FORMS.map((form) => form(target))),
  ]);
  findings = lintImports("probes", new Map(probes));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each(LAYERS.map((layer) => [layer.file, layer] as const))("%s", (file, layer) => {
  const expected: string[] = [];
  const found: string[] = [];
  [...layer.allowed, ...layer.refused].forEach((target, index) => {
    FORMS.forEach((_, form) => {
      const line = index * FORMS.length + form + 1;
      if (index >= layer.allowed.length) expected.push(`${target} (form ${form})`);
      if (findings.has(`${file}:${line}`)) found.push(`${target} (form ${form})`);
    });
  });
  expect(found).toEqual(expected);
});

describe("lazy loading", () => {
  const product = [...new Bun.Glob("{src,rpc,lsp,ffi}/**/*.ts").scanSync(ROOT)].toSorted();
  const text = (path: string): string => readFileSync(join(ROOT, path), "utf8");
  const IDIOM = /require\("([^"]+)"\) as typeof import\("([^"]+)"\)/g;
  const required = (path: string): string[] => [...text(path).matchAll(IDIOM)].map(([, target = ""]) => target);

  test("is `await import(…)`, or where nobody can wait `require(P) as typeof import(P)`", () => {
    const other = product.filter((path) => {
      const calls = text(path).match(/\brequire\(/g)?.length ?? 0;
      return calls !== [...text(path).matchAll(IDIOM)].filter(([, one, two]) => one === two).length;
    });
    expect(other).toEqual([]);
    expect(product.flatMap(required).length).toBeGreaterThan(20);
  });

  test("by `require(…)` keeps to the rules on imports", () => {
    const files = new Map(product.map((path) => [path, required(path).map((target) => `import "${target}";`)]));
    expect([...lintImports("required", files)]).toEqual([]);
    // The rules see such a line: this one is against them.
    const offender = new Map([["src/domain/probe.ts", ['import "../runtime.ts";']]]);
    expect([...lintImports("offender", offender)]).toEqual(["src/domain/probe.ts:1"]);
  });
});
