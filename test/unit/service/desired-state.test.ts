/** Documents of a desired state: what is wrong is told once, with its place, and nothing is changed. */
import { expect, describe, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import Ajv from "ajv";
import { DESIRED_STATE_SCHEMA, desiredStateSchemaFile } from "../../../scripts/generate-docs.ts";
import {
  DOCUMENT_ALIASES_MAX,
  DOCUMENT_BYTES_MAX,
  DOCUMENT_DEPTH_MAX,
  DOCUMENT_ENTRIES_MAX,
  DOCUMENT_FILES_MAX,
} from "../../../src/domain/limits.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { desiredUnits } from "../../../src/service/apply/desired.ts";
import { readDocuments } from "../../../src/service/apply/read-documents.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import { compileBpf } from "../../objects/compile.ts";
import { FakeFiles, type TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

const ROOT = resolve(import.meta.dir, "../../..");

let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, by) => {
  bed = made;
  invoke = by;
});

const TWO = `SEC("tc") int a(void *ctx) { return 0; } SEC("tc") int b(void *ctx) { return 0; }`;

/** The error of a text, as `line:column: message; hint`. */
async function refusal(text: string): Promise<string> {
  bed.files.contents.set("/z.o", compileBpf(TWO));
  const before = bed.traces();
  const thrown = await invoke("apply", { documents: [{ text, name: "t.yaml", directory: "/" }] }).catch(
    (cause: unknown) => cause,
  );
  expect(thrown).toBeInstanceOf(BpfmanError);
  const { code, message, hint, details } = thrown as BpfmanError;
  expect(bed.traces()).toEqual(before);
  expect(details).toMatchObject({ file: "t.yaml" });
  const start = `"t.yaml"${code === "INVALID_DOCUMENT" ? ":" : ","} line ${details.line}, column ${details.column}: `;
  expect(message).toContain(start);
  return `${details.line}:${details.column}: ${message.slice(message.indexOf(start) + start.length)}; ${hint}`;
}

const program = (more: string): string => `objects:\n  - path: x.o\n    programs:\n      - ${more}\n`;
const attached = (more: string): string => program(`{ name: count, type: tcx, attach: [{ ${more} }] }`);

describe("a document with", () => {
  test.each<readonly [string, string, string]>([
    [
      "an unknown field",
      attached("kind: tcx, ifcae: a, direction: ingress, priority: 1"),
      '4:57: unknown field "objects.0.programs.0.attach.0.ifcae"; did you mean "iface"?',
    ],
    ["a field of no object", "aplications: {}", '1:1: unknown field "aplications"; did you mean "applications"?'],
    [
      "a wrong type",
      attached("kind: tcx, iface: a, direction: ingress, priority: high"),
      '4:97: invalid value for "objects.0.programs.0.attach.0.priority": a priority is a whole number',
    ],
    [
      "a number as a label",
      `${program("name: count")}    metadata: { version: 1.10 }\n`,
      '5:26: invalid value for "objects.0.metadata.version": must be text, not 1.1',
    ],
    [
      "a missing field",
      attached("kind: tcx, iface: a, direction: ingress"),
      '4:44: field "objects.0.programs.0.attach.0.priority" is missing',
    ],
    [
      "an unknown kind",
      attached("kind: tcy"),
      '4:52: invalid value for "objects.0.programs.0.attach.0.kind": must be one of',
    ],
    [
      "a kind that is another one's",
      attached("kind: xdp, iface: a, priority: 1"),
      '4:44: program "count" is a TCX program, which is not attached as "xdp"; kind is "tcx"',
    ],
    [
      "neither a path nor an image",
      "objects: [{ programs: [{ name: x }] }]",
      '1:11: invalid value for "objects.0": needs either a path or an image',
    ],
    [
      "attachments of all programs",
      program("{ name: all, attach: [{ kind: tcx, iface: eth0, direction: ingress, priority: 1 }] }").replace(
        "x.o",
        "z.o",
      ),
      '4:22: "all" cannot be attached; name the programs',
    ],
    ["a list for an object", "- a\n- b\n", "1:3: invalid value"],
    ["one name twice", "applications:\n  a: {}\n  a: {}\n", "3:3: this name is there twice"],
    [
      "an application twice",
      "applications: { a: {} }\n---\napplications:\n  a: {}\n",
      '4:3: application "a" is there twice: also in "t.yaml", line 1; put both into one',
    ],
    [
      "a program twice",
      "objects:\n  - path: x.o\n    programs: [{ name: count }, { name: count }]\n",
      '3:24: program "count" is named twice',
    ],
    [
      "an object that is not there",
      "objects:\n  - path: y.o\n    programs: [{ name: count }]\n",
      '2:11: no file "/y.o"',
    ],
    [
      "a program that the object lacks",
      program("name: cuont"),
      '4:15: no program "cuont" in the object; did you mean "count"?',
    ],
    [
      "a global that the object lacks",
      `${program("name: count")}    globals: { LIMT: 1 }\n`,
      '5:22: global variable "LIMT" not found',
    ],
    [
      "owners of maps in a circle",
      "applications:\n  a:\n    objects: [{ path: x.o, mapOwner: b/count, programs: [{ name: count }] }]\n  b:\n    objects: [{ path: x.o, mapOwner: a/count, programs: [{ name: count }] }]\n",
      ": programs share each other's maps in a circle",
    ],
    [
      "itself as owner of maps",
      `${program("name: count")}    mapOwner: count\n`,
      "5:15: programs share each other's maps in a circle",
    ],
    [
      "an owner of maps that is not there",
      `${program("name: count")}    mapOwner: other\n`,
      '5:15: no program is named "other"',
    ],
    [
      "an interface that is not there",
      attached("kind: tcx, iface: eth9, direction: ingress, priority: 1"),
      '4:44: no interface "eth9"',
    ],
    [
      "another application in its metadata",
      "applications:\n  a:\n    objects: [{ path: x.o, metadata: { bpfman_application: b }, programs: [{ name: count }] }]\n",
      '3:28: the metadata name application "b", but the object is of application "a"',
    ],
    ["no end", "objects: [1, 2", "1:15: "],
    ["a tab", "objects:\n\t- a\n", "2:1: "],
    ["a tag", "objects: !!js/function 'x'\n", "1:10: Unresolved tag"],
    [
      "nothing at all, as a file that is being written",
      " \n",
      "1:1: it is empty; a document that names nothing is written",
    ],
    ["a name that is no text", "? [a]\n: 1\n", "1:3: a name must be text"],
    [
      "a number as a name",
      `${program("name: count")}    globals: { 1.10: 1 }\n`,
      '5:22: global variable "1.10" not found',
    ],
    ["an alias of nothing", "objects: *a\n", "1:10: "],
    ["a key that would be a trap", `${program("name: count")}    globals: { __proto__: 1 }\n`, "5:5: "],
    ["bytes that are not text", "\u0000", "1:1: "],
  ])("%s", async (_, text, wanted) => expect(await refusal(text)).toContain(wanted));

  test.each<readonly [string, string, string]>([
    [
      "10,000 entries",
      `objects:\n${"  - { path: x.o, programs: [{ name: count }] }\n".repeat(10_000)}`,
      `must have at most ${DOCUMENT_ENTRIES_MAX} entries; got 10000`,
    ],
    ["lists in lists", "[".repeat(DOCUMENT_BYTES_MAX / 2), `it is nested deeper than ${DOCUMENT_DEPTH_MAX} levels`],
    [
      "lists in lists, by indentation",
      "- ".repeat(DOCUMENT_BYTES_MAX / 2),
      `it is nested deeper than ${DOCUMENT_DEPTH_MAX} levels`,
    ],
    [
      "keys that are keys",
      "? ".repeat(DOCUMENT_BYTES_MAX / 2),
      `it is nested deeper than ${DOCUMENT_DEPTH_MAX} levels`,
    ],
    [
      "60,000 names",
      `objects:\n  - metadata:\n${Array.from({ length: 60_000 }, (_each, at) => `      k${at}: v\n`).join("")}      k9: v\n`,
      "60003:7: this name is there twice",
    ],
    [
      "60,000 aliases of what they are part of",
      `objects: &a\n${"- *a\n".repeat(60_000)}`,
      "2:3: this alias stands for",
    ],
    ["60,000 documents", "---\n{}\n".repeat(60_000), `it has more than ${DOCUMENT_FILES_MAX} documents`],
    ["aliases of aliases", laughs(), `its aliases repeat more than ${DOCUMENT_ALIASES_MAX} parts`],
    ["more text than is read", `#${" ".repeat(DOCUMENT_BYTES_MAX)}`, ""],
  ])("%s ends soon", async (_, text, wanted) => {
    if (wanted !== "") return expect(await refusal(text)).toContain(wanted);
    const refused = invoke("apply", { documents: [{ text }] });
    expect(refused).rejects.toThrow(/at most|must have/);
  });
});

function laughs(): string {
  const names = [..."bcdefghi"];
  const levels = names.map(
    (name, at) =>
      `${name}: &${name} [${Array(9)
        .fill(`*${names[at - 1] ?? "a"}`)
        .join(", ")}]`,
  );
  return `a: &a [x, x]\n${levels.join("\n")}\n`;
}

describe("documents", () => {
  const files = new FakeFiles();
  const put = (path: string, text: string) => files.contents.set(path, new TextEncoder().encode(text));
  const application = (name: string): string => `applications: { ${name}: { objects: [] } }\n`;

  test("are read once if a file is given twice", () => {
    put("/once/a.yaml", application("a"));
    expect(readDocuments(files, [{ file: "/once" }, { file: "/once/a.yaml" }])).toHaveLength(1);
  });

  test("of a directory are read by name, and of a file one after the other", () => {
    put("/d/b.yaml", `${application("b")}---\n# nothing\n---\n${application("c")}`);
    put("/d/a.json", JSON.stringify({ applications: { a: { objects: [] } } }));
    put("/d/z.yml", application("z"));
    put("/d/notes.txt", "no document");
    const read = readDocuments(files, [{ file: "/d" }]);
    expect(read.map(({ state, origin, directory }) => [...Object.keys(state.applications), origin, directory])).toEqual(
      [
        ["a", "/d", "/d"],
        ["b", "/d", "/d"],
        ["c", "/d", "/d"],
        ["z", "/d", "/d"],
      ],
    );
    put("/empty/notes.txt", "no document");
    expect(() => readDocuments(files, [{ file: "/empty" }])).toThrow("it has no documents");
    for (let at = 0; at <= DOCUMENT_FILES_MAX; at++) put(`/many/${at}.yaml`, "");
    expect(() => readDocuments(files, [{ file: "/many" }])).toThrow(`more than ${DOCUMENT_FILES_MAX} documents`);
  });

  test("have paths relative to their directory, and large numbers as they are written", () => {
    put(
      "/e/x.yaml",
      "objects: [{ path: o/x.o, globals: { BIG: 18446744073709551615 }, maps: { m: pin }, programs: [{ name: a }] }]",
    );
    const [unit] = desiredUnits(readDocuments(files, [{ file: "/e/x.yaml" }]), files.absolute);
    const object = unit?.objects[0];
    expect(object?.source).toEqual({ file: "/e/o/x.o" });
    expect(object?.request).toMatchObject({ globals: { BIG: "18446744073709551615" }, maps: { m: "/e/pin" } });
  });

  test("have a schema, which is what the file says, and which takes what is exported", async () => {
    const schema = await desiredStateSchemaFile();
    expect(readFileSync(join(ROOT, DESIRED_STATE_SCHEMA), "utf8")).toBe(schema);
    const fits = new Ajv({ schemaId: "auto" }).compile(JSON.parse(schema));
    await invoke("program/load", {
      source: { file: "/x.o" },
      application: "a",
      programs: [{ name: "count", type: "tcx" }],
    });
    const attach = { kind: "tcx", iface: "eth0", direction: "ingress", priority: 5 } as const;
    await invoke("link/attach", { programId: "count", attach });
    const { document } = await invoke("export", {});
    expect([fits(document), fits.errors]).toEqual([true, null]);
    expect(
      fits({ objects: [{ path: "x.o", programs: [{ name: "a", attach: [{ ...attach, priority: "5" }] }] }] }),
    ).toBe(false);
    expect(fits({ objekts: [] })).toBe(false);
  });
});

describe("an export", () => {
  const list = async () => {
    const { programs } = await invoke("program/list", {});
    const { links } = await invoke("link/list", {});
    return {
      programs: programs.map(({ function_name, type, application, record }) => ({
        ...{ function_name, type, application },
        metadata: record?.meta.metadata,
        globals: record?.load.global_data,
      })),
      links: links.map(({ kind, metadata, details }) => ({ kind, metadata, details })),
    };
  };
  async function loadSome(): Promise<void> {
    const load = (name: string, more: object) =>
      invoke("program/load", {
        source: { file: "/x.o" },
        programs: [{ name, type: name === "count" ? "tcx" : null }],
        ...more,
      });
    const first = await load("count", { application: "a", metadata: { k: "v" }, globals: { LIMIT: 9 } });
    const id = first.programs[0]?.record?.program_id as number;
    await load("on_openat", { mapOwnerId: id });
    await load("on_openat", { metadata: { "bpfman.io/application": "b" } });
    await load("on_connect", {});
    await invoke("link/attach", {
      ...{ programId: id, metadata: { why: "so" } },
      attach: { kind: "tcx", iface: "eth1", direction: "egress", priority: 7 },
    });
    await invoke("link/attach", {
      programId: "b/on_openat",
      attach: { kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" },
    });
    await invoke("link/attach", {
      programId: "on_connect",
      attach: { kind: "cgroup", cgroup: "/sys/fs/cgroup/system.slice" },
    });
  }

  test("and an apply of it on a clean host give the same lists", async () => {
    await loadSome();
    const before = await list();
    const { yaml, portable } = await invoke("export", {});
    expect(yaml).toStartWith("# The paths are those of this host. For another one: bpfman export --bundle DIR\n");
    expect(portable).toBe(false);
    const text = { documents: [{ text: yaml }] };
    const same = await invoke("apply", text);
    expect(same.applications.flatMap(({ changes }) => changes).filter(({ action }) => action !== "unchanged")).toEqual(
      [],
    );
    await invoke("program/delete", { all: true });
    await invoke("apply", text);
    const after = await list();
    const sorted = (entries: readonly object[]) => entries.map((entry) => JSON.stringify(entry)).sort();
    expect(sorted(after.programs)).toEqual(sorted(before.programs));
    expect(sorted(after.links)).toEqual(sorted(before.links));
    const owner = await invoke("program/get", { programId: "a/count" });
    const { programs } = await invoke("program/list", { view: "full" });
    const sharing = programs.find(
      ({ application, function_name }) => application === null && function_name === "on_openat",
    );
    expect(sharing?.record?.handles.map_owner_id).toBe(owner.record?.program_id as number);
  });

  test("of an application leaves out the others, and says what there is instead of none", async () => {
    await loadSome();
    const { document } = await invoke("export", { application: "b" });
    expect(Object.keys((document as { applications: object }).applications)).toEqual(["b"]);
    expect(document).not.toHaveProperty("objects");
    expect(invoke("export", { application: "bb" })).rejects.toThrow('no program belongs to application "bb"');
  });

  test("with a bundle writes each object once, under a safe name", async () => {
    bed.files.contents.set("/tmp/.. $(x)\n.o", bed.files.contents.get("/x.o") as Uint8Array);
    const source = { file: "/tmp/.. $(x)\n.o" };
    await invoke("program/load", { source, application: "a", programs: [{ name: "count" }] });
    await invoke("program/load", { source, application: "b", programs: [{ name: "count" }] });
    const { files, yaml, portable } = await invoke("export", { bundle: "out" });
    expect(files).toHaveLength(2);
    expect(files[0]).toMatch(/^\/cwd\/out\/objects\/[A-Za-z0-9_-]+\.o$/);
    expect(files[1]).toBe("/cwd/out/bpfman.yaml");
    expect([portable, yaml.includes("/tmp")]).toEqual([true, false]);
    await invoke("program/delete", { all: true });
    const answer = await invoke("apply", { documents: [{ file: "/cwd/out/bpfman.yaml" }] });
    expect(answer.applications.map(({ application }) => application)).toEqual(["a", "b"]);
    expect(invoke("export", { bundle: "out" })).rejects.toThrow("it is not empty");
  });

  test("of a lost copy says so, instead of a bundle that lacks it", async () => {
    await loadSome();
    bed.files.bytecode.clear();
    expect(invoke("export", { bundle: "out" })).rejects.toThrow("no file");
    expect(bed.files.contents.has("/cwd/out/bpfman.yaml")).toBe(false);
  });
});
