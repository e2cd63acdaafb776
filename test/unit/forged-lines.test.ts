/**
 * Every field that comes from outside, in every text: the output has nothing that a terminal interprets or a reader
 * cannot see, and no name begins a line. Add a row for each new field.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { replyError, unknownMethod, wrongField } from "../../rpc/errors.ts";
import { renderCrash, renderError, renderErrorJson } from "../../src/cli/render/report.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { printable, printableBlock, printableJson } from "../../src/domain/printable.ts";
import { BpfmanError } from "../../src/errors/error.ts";
import { inspectImage } from "../../src/image/inspect.ts";
import { OCI_MANIFEST } from "../../src/image/manifest.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository } from "../../src/image/open-repository.ts";
import { openLog } from "../../src/log/open-log.ts";
import { createInvoke } from "../../src/service/invoke.ts";
import { readNamedObject } from "../../src/service/read-object.ts";
import { everyLink, featuresAnswer, foreignProgram, programAnswer, versionAnswer } from "../fakes/answers.ts";
import { cli } from "../fakes/cli-host.ts";
import { kernelFunction } from "../fakes/fake-kernel.ts";
import { makeTestBed, type TestBed } from "../fakes/fake-host.ts";
import { forged, forgedBytes, linesIn, misleadingIn, withEachText, withoutOwnStyle } from "../fakes/forged.ts";
import { jsonBytes, MemoryRepository, putImage, putIndex } from "../objects/image.ts";
import { Served } from "../fakes/served.ts";
import { serviceObject } from "../objects/service-object.ts";

/** Each text, by where it stands. */
type Texts = Readonly<Record<string, string>>;

/** Nothing misleading in the texts of one forged line or of nine, and as many lines. */
async function expectHarmless(textsOf: (name: string) => Texts | Promise<Texts>): Promise<void> {
  const [few, many] = [await textsOf(forged(1)), await textsOf(forged(9))];
  for (const [place, text] of Object.entries(few)) {
    expect([place, misleadingIn(withoutOwnStyle(text))]).toEqual([place, []]);
    expect([place, linesIn(many[place] ?? "")]).toEqual([place, linesIn(text)]);
  }
}

/** A failure in every text that it becomes. */
function textsOfFailure(error: BpfmanError): Texts {
  const reply = replyError(error, "id");
  return {
    classic: renderError(error, { noun: false, styled: false, wrap: String }),
    terminal: renderError(error, { noun: true, styled: true, wrap: String }),
    json: renderErrorJson(error),
    crash: renderCrash(error),
    message: reply.message,
    hint: reply.data?.hint ?? "",
    log: reply.data?.verifierLog ?? "",
  };
}

/** A command line's output, as text, on a terminal and as JSON. */
async function textsOfRuns(line: readonly string[], invoke: (name: string, request: unknown) => unknown) {
  const texts: Record<string, string> = {};
  for (const [how, more, terminal] of [
    ["text", [], false],
    ["terminal", [], true],
    ["json", ["-o", "json"], false],
  ] as const) {
    if (how === "json" && line[0] === "__complete") continue;
    const world = {
      terminal,
      answer: ({ name, request }: { name: string; request: unknown }) => invoke(name, request),
    };
    const run = await cli([...line, ...more], world);
    // One tab stands between a candidate and its description.
    const out = run.out.split("\n").map((each) => (line[0] === "__complete" ? each.replace("\t", " ") : each));
    texts[`${how}: out`] = out.join("\n");
    texts[`${how}: err`] = run.err;
  }
  return texts;
}

test("a half of a surrogate pair is escaped, a pair is not; JSON keeps its value", () => {
  for (const print of [printable, printableBlock])
    expect(print("a\ud83d|\ud83d\ude00|\udc00")).toBe("a\\ud83d|😀|\\udc00");
  const value = { [forged(2)]: forged(2), lone: "\ud800" };
  const text = printableJson(JSON.stringify(value, null, 2));
  expect(misleadingIn(text)).toEqual([]);
  expect(JSON.parse(text)).toEqual(value);
  expect(printableBlock("a\tb\nc\r")).toBe("a\tb\nc\\r");
});

describe("parts of a failure", () => {
  const source = { instruction: 1, function: "f", file: "f.c", line: 3, column: 2, text: "return;" };
  const rows: Readonly<Record<string, (name: string) => BpfmanError>> = {
    message: (name) => new BpfmanError("INVALID_OBJECT", `load "${name}"`),
    hint: (name) => new BpfmanError("INVALID_OBJECT", "load", { hint: `did you mean "${name}"?` }),
    details: (name) => new BpfmanError("INVALID_OBJECT", "load", { details: { [name]: name } }),
    "what was thrown": (name) => new BpfmanError("INTERNAL", name, { cause: new Error(name) }),
    "a field of a request": (name) => wrongField(name, name),
    ...Object.fromEntries(
      ["function", "file", "text"].map((key) => [
        `source: ${key}`,
        (name: string) =>
          new BpfmanError("VERIFIER_REJECTED", "load", { details: { source: { ...source, [key]: name } } }),
      ]),
    ),
  };
  test.each(Object.entries(rows))("%s", async (_part, errorOf) => {
    await expectHarmless((name) => textsOfFailure(errorOf(name)));
  });

  test("the verifier's log keeps its lines, and nothing else", () => {
    const error = new BpfmanError("VERIFIER_REJECTED", "load", { verifierLog: `0: exit\n\t${forged(3)}\n` });
    for (const text of Object.values(textsOfFailure(error))) {
      expect(misleadingIn(withoutOwnStyle(text).replaceAll("\t", ""))).toEqual([]);
    }
    expect(error.verifierLog).toStartWith("0: exit\n\tx\\r\t\\x07");
  });

  test("an unknown method", async () => {
    await expectHarmless((name) => ({ message: unknownMethod(name, [name]).message }));
  });
});

test("lines of the log", async () => {
  await expectHarmless((name) => {
    const lines: string[] = [];
    openLog("trace", (line) => lines.push(line)).warn(name, {
      [name]: name,
      error: new Error(name),
      deep: { [name]: [name] },
    });
    return { log: lines.join("") };
  });
});

describe("each text of an answer, and each key", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const content = { programs: { p: "xdp" }, maps: { m: "hash" }, layers: [{ media_type: "l", digest, size: 1 }] };
  const image = { reference: "h.io/a:1", digest, media_type: "m" };
  const signature = {
    verdict: "trusted",
    reason: "r",
    identity: "i",
    issuer: "s",
    key: null,
    signed_at: "t",
    layout: "b",
    manifest: digest,
  };
  const hook = { type: "xdp", nsid: 4026531840, ifindex: 2 };
  const member = {
    program_id: 5,
    program_name: "p",
    prog_pin_path: "/p",
    link_id: 1,
    kernel_link_id: 11,
    link_pin_path: "/l",
    position: 0,
    priority: 50,
    proceed_on: 4,
    ifname: "eth0",
    metadata: { k: "v" },
  };
  const program = {
    program_id: 1,
    managed: true,
    application: "a",
    type: "tcx",
    function_name: "f",
    links: [3],
    record: null,
    kernel: null,
  };
  const dispatcher = {
    key: hook,
    interface: "eth0",
    revision: 3,
    runtime: { program_id: 7, kernel_link_id: 9, mode: "drv", netns_path: "/n" },
    member_count: 1,
  };
  const rows: [line: string, answer: unknown][] = [
    ["get program 1", programAnswer],
    ["get program 1", foreignProgram],
    ["program get 1", programAnswer],
    ["load file -p x.o --programs xdp:a", { programs: [programAnswer] }],
    ["load file -p x.o --programs xdp:a", { programs: [programAnswer, programAnswer] }],
    ["list programs", { programs: [program] }],
    ["program list", { programs: [program] }],
    [
      "list links",
      {
        links: everyLink.map(({ record, status }) => ({
          ...record,
          application: "a",
          function_name: status.function_name,
        })),
      },
    ],
    ...everyLink.map((link): [string, unknown] => ["get link 1", link]),
    ["dispatcher list", { dispatchers: [dispatcher] }],
    ["dispatcher get xdp 4026531840 2", { ...dispatcher, members: [member] }],
    ["image pull -i a", { ...image, ...content }],
    ["image inspect a", { ...image, ...content }],
    [
      "image inspect a",
      { ...image, manifests: [{ digest, media_type: "n", size: 3, platform: "linux/arm", ...content }] },
    ],
    [
      "image verify a",
      {
        ...image,
        signed: true,
        trust_root: "current",
        signatures: [signature, { ...signature, key: { file: "f", fingerprint: "p" } }],
      },
    ],
    ["version", versionAnswer],
    ["version", { ...versionAnswer, features: featuresAnswer }],
    ["__complete words -- list programs --type ", { values: [{ value: "v", description: "d" }] }],
    ["__complete words -- get program ", { values: [{ value: "v", description: "d" }] }],
  ];
  test.each(rows)("%s", async (line, answer) => {
    const paths = [...withEachText(answer, "")].map(({ path }) => path);
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) {
      await expectHarmless((name) => {
        const changed = [...withEachText(answer, name)].find((each) => each.path === path)?.value;
        return textsOfRuns(line.split(" "), () => changed);
      });
    }
  });
});

describe("through the operations", () => {
  let bed: TestBed;
  beforeEach(() => {
    bed = makeTestBed();
  });
  afterEach(() => bed.close());

  /** Runs a command line on the fake kernel. */
  const runs = (...line: string[]) => {
    const invoke = createInvoke(bed.runtime) as (name: never, request: unknown) => Promise<unknown>;
    return textsOfRuns(line, (name, request) => invoke(name as never, request));
  };
  const loadObject = (bytes = serviceObject()) => {
    bed.files.contents.set("/x.o", bytes);
    return runs("load", "file", "-p", "/x.o", "--programs", "tcx:count", "tracepoint:on_openat");
  };
  const asFew = (texts: Texts): void => {
    for (const [place, text] of Object.entries(texts)) {
      expect([place, misleadingIn(withoutOwnStyle(text))]).toEqual([place, []]);
      expect([place, text.split("\n").filter((line) => line.startsWith("xxx"))]).toEqual([place, []]);
    }
  };

  // The names are written over wherever they stand in the file: symbols, sections, strings of BTF.
  const NAMES = [
    "count_more",
    "counters",
    "shared_counts",
    "LIMIT",
    "on_unlink",
    "custom",
    "syscalls",
    "do_unlinkat",
    "GPL",
    ".maps",
    ".rodata",
    "int",
  ];
  const LINES = [
    "load file -p /x.o --programs xdp:nosuch",
    "load file -p /x.o --programs tc:count_mere",
    "load file -p /x.o --programs xdp:on_openat",
    "load file -p /x.o --programs tcx:count fentry:on_entry tracepoint:on_openat kprobe:on_unlink -g NOSUCH=00",
    "load file -p /x.o --programs tcx:count -g LIMIT=00 -g LIMAT=05000000",
    "load file -p /x.o --programs tcx:count tcx:count_more",
    "program load file /x.o",
    "load file -p /x.o --programs tcx:count --map-owner-id 100",
    "__complete words -- load file -p /x.o --programs ",
    "__complete words -- load file -p /x.o --global ",
    "list programs",
    "get program 100",
    "attach 101 tracepoint --tracepoint syscalls/sys_enter_openat",
    "list links",
  ];
  const original = Buffer.from(serviceObject());
  test.each(
    NAMES.flatMap(
      (name) =>
        [
          [name, "control"],
          [name, "bidi"],
        ] as const,
    ),
  )("an object in which %s is forged with %s", async (name, kind) => {
    const bytes = Buffer.from(original);
    let found = 0;
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + name.length), found++) {
      forgedBytes(name.length, kind).copy(bytes, at);
    }
    expect(found).toBeGreaterThan(0);
    bed.files.contents.set("/x.o", bytes);
    for (const line of LINES) asFew(await runs(...line.split(" ")));
  });

  const rows: Readonly<Record<string, (name: string) => Promise<Texts>>> = {
    "names of interfaces": (name) => {
      bed.network.namespaces.set("", [name, `eth0${name}`]);
      return runs("attach", "100", "tcx", "--direction", "ingress", "-i", "eth0", "--priority", "5");
    },
    "names of interfaces, completed": (name) => {
      bed.network.namespaces.set("", [name]);
      return runs("__complete", "words", "--", "attach", "5", "xdp", "--iface", "");
    },
    "names of namespaces, completed": (name) => {
      bed.network.namespaces.set(name, ["lo"]);
      return runs("__complete", "words", "--", "attach", "5", "xdp", "--netns", "");
    },
    tracepoints: (name) => {
      bed.kernel.knownTracepoints = [`sched/sched_switch${name}`, name];
      return runs("attach", "101", "tracepoint", "--tracepoint", "sched/sched_switch");
    },
    "functions of the kernel": (name) => {
      bed.kernel.functions.set(`do_unlink${name}`, [kernelFunction(`do_unlink${name}`)]);
      return runs("attach", "100", "kprobe", "--fn-name", "do_unlink");
    },
    "the path of an object": (name) => {
      bed.files.contents.set(`/${name}`, new TextEncoder().encode("no object"));
      return runs("load", "file", "-p", `/${name}`, "--programs", "xdp:a");
    },
    "an object's first bytes": (name) => {
      bed.files.contents.set("/x.o", new TextEncoder().encode(name));
      return runs("load", "file", "-p", "/x.o", "--programs", "xdp:a");
    },
    "values of the command line": async (name) => ({
      ...(await runs("load", "file", "-p", name, "--programs", `xdp:${name}`, "-m", `${name}=${name}`, "-a", name)),
      ...(await runs(name)),
      ...(await runs("list", "programs", `--${name}`)),
    }),
    "an application and metadata": async (name) => {
      bed.files.contents.set("/x.o", original);
      const loaded = await runs(
        "load",
        "file",
        "-p",
        "/x.o",
        "--programs",
        "tcx:count",
        "-a",
        name,
        "-m",
        `${name}=${name}`,
      );
      return {
        ...loaded,
        ...prefixed("list", await runs("list", "programs")),
        ...prefixed("get", await runs("get", "program", "100")),
      };
    },
    "progress and lines of tools": async (name) => {
      bed.images = {
        pull: async (_request: unknown, work: { progress(message: string): void }) => {
          work.progress(name);
          throw new Error(name);
        },
      } as never;
      const told: string[] = [];
      const invoke = createInvoke(bed.runtime);
      const request = { url: "h.io/a:1", registryAuth: null };
      const thrown: unknown = await invoke("image/pull", request, { progress: (line) => void told.push(line) }).catch(
        (error) => error,
      );
      return { progress: told.join(""), ...textsOfFailure(thrown as BpfmanError), crash: "" };
    },
  };
  const prefixed = (word: string, texts: Texts): Texts =>
    Object.fromEntries(Object.entries(texts).map(([place, text]) => [`${word} ${place}`, text]));
  test.each(Object.entries(rows))("%s", async (_what, textsOf) => {
    await expectHarmless(async (name) => {
      bed.close();
      bed = makeTestBed();
      await loadObject();
      return textsOf(name);
    });
  });

  test("messages and hints of JSON-RPC", async () => {
    const session = new Served(bed);
    await session.initialize();
    bed.network.namespaces.set("", [forged(3)]);
    await expectHarmless(async (name) => {
      const texts: Record<string, string> = {};
      for (const [method, params] of [
        [name, {}],
        ["program/get", { [name]: 1 }],
        ["program/load", { source: { file: name }, programs: [{ type: name, name }] }],
        ["program/load", { source: { file: name }, programs: [{ type: "xdp", name, attachFunction: null }] }],
      ] as const) {
        const { message, data } = await session.failure(method, params);
        texts[`${Object.keys(texts).length} ${message.length > 0}`] = `${message} ${data?.hint ?? ""}`;
      }
      return texts;
    });
    session.end();
  });
});

describe("from registries and files of settings", () => {
  const servers = new Set<{ stop(force?: boolean): unknown }>();
  afterAll(() => servers.forEach((server) => server.stop(true)));

  /** How a manifest is refused by a registry that answers so. */
  async function failureFrom(answer: () => Response, key = "v1"): Promise<BpfmanError> {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
    servers.add(server);
    const reference = parseReference(`127.0.0.1:${server.port}/test/image:v1`);
    const repository = openRepository(reference, {
      signal: new AbortController().signal,
      registryAuth: null,
      caFile: null,
      env: {},
    });
    return failed(async () => await inspectImage({ ...reference, tag: key }, repository));
  }
  const failed = async (run: () => unknown): Promise<BpfmanError> => {
    try {
      await run();
    } catch (thrown) {
      if (thrown instanceof BpfmanError) return thrown;
      throw thrown;
    }
    throw new Error("nothing was thrown");
  };
  const header = (name: string) => encodeURI(name.replace(/[\r\n]/g, " ").replaceAll("\ud800", ""));
  const manifest = (change: object) =>
    new Response(jsonBytes({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: {}, layers: [], ...change }));

  const rows: Readonly<Record<string, (name: string) => Promise<BpfmanError>>> = {
    "the code and message of an error": (name) =>
      failureFrom(() => Response.json({ errors: [{ code: name, message: name }] }, { status: 418 })),
    "a media type": (name) => failureFrom(() => manifest({ mediaType: name })),
    "a layer's media type": (name) =>
      failureFrom(() => manifest({ layers: [{ mediaType: name, digest: name, size: 1 }] })),
    "a digest": (name) => failureFrom(() => manifest({ config: { mediaType: name, digest: name, size: 1 } })),
    "a digest in a header": (name) => {
      const headers = { "docker-content-digest": `sha256:${header(name)}` };
      return failureFrom(() => new Response(manifest({}).body, { headers }));
    },
    "a challenge": (name) => {
      const headers = { "www-authenticate": `Bearer realm="https://${header(name)}/",service="${header(name)}"` };
      return failureFrom(() => new Response(null, { status: 401, headers }));
    },
    "where a redirect leads": (name) =>
      failureFrom(() => new Response(null, { status: 307, headers: { location: `ftp://${header(name)}/` } })),
    "a reference": (name) => failed(() => parseReference(name)),
    "a tag": (name) => failed(() => parseReference(`h.io/a:${name}`)),
    "labels of an image": async (name) => {
      const repository = new MemoryRepository();
      await putImage(repository, "v1", {
        labels: { "io.ebpf.programs": JSON.stringify({ [name]: name }), "io.ebpf.maps": name },
      });
      return failed(async () => {
        throw new BpfmanError(
          "INVALID_IMAGE",
          JSON.stringify(await inspectImage(parseReference("h.io/a:v1"), repository)),
        );
      });
    },
    "platforms of an index": async (name) => {
      const repository = new MemoryRepository();
      const entry = await putImage(repository, "v1");
      await putIndex(repository, "v1", {
        entries: [{ ...entry, mediaType: name, platform: { architecture: name, os: name } } as never],
      });
      return failed(async () => {
        throw new BpfmanError(
          "INVALID_IMAGE",
          JSON.stringify(await inspectImage(parseReference("h.io/a:v1"), repository)),
        );
      });
    },
    "keys of a configuration": (name) =>
      failed(() => parseConfig(Buffer.from(`[database]\n${JSON.stringify(name)} = 1\n`), "/c.toml")),
    "values of a configuration": (name) =>
      failed(() => parseConfig(Buffer.from(`[interfaces.eth0]\nxdp_mode = ${JSON.stringify(name)}\n`), "/c.toml")),
    "the path of a configuration": (name) => failed(() => parseConfig(Buffer.from("x"), name)),
    "rubbish in a configuration": (name) => failed(() => parseConfig(Buffer.from(`= ${name}`), "/c.toml")),
    "the path of an object": (name) => failed(() => readNamedObject({ bytes: Buffer.from(name), path: name }, {})),
  };
  test.each(Object.entries(rows))("%s", async (_what, errorOf) => {
    await expectHarmless(async (name) => textsOfFailure(await errorOf(name)));
  });
});
