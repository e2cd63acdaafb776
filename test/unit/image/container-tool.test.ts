import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openContainerTools } from "../../../src/image/open-container-tools.ts";
import { TOOL_LINE_CHARS_MAX } from "../../../src/domain/limits.ts";
import type { ContainerToolName } from "../../../src/domain/container-tool.ts";
import type { ContainerBuild } from "../../../src/platform/image-build.ts";
import { FAKE_DIGEST, fakeTool } from "../../fakes/container-tool.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
/** For the shell of the programs that are faked. */
const SYSTEM = "/usr/bin:/bin";

const NEVER = new AbortController().signal;

const single: ContainerBuild = {
  tag: "example.com/acme/counter:v1",
  containerFile: "/cwd/Containerfile",
  contextDirectory: "/cwd",
  platforms: [],
  buildArgs: { BYTECODE_FILE: "with blank; $(touch evil).o", PROGRAMS: '{"pass":"xdp"}', MAPS: "{}" },
};
const multi: ContainerBuild = {
  ...single,
  platforms: ["linux/amd64", "linux/s390x"],
  buildArgs: { BC_AMD64_EL: "a.o", BC_S390X_EB: "b.o", PROGRAMS: "{}", MAPS: "{}" },
};
const SINGLE_ARGS = [
  ...["--build-arg", "BYTECODE_FILE=with blank; $(touch evil).o", "--build-arg", 'PROGRAMS={"pass":"xdp"}'],
  ...["--build-arg", "MAPS={}", "-f", "/cwd/Containerfile", "/cwd"],
];
const MULTI_ARGS = [
  ...["--build-arg", "BC_AMD64_EL=a.o", "--build-arg", "BC_S390X_EB=b.o", "--build-arg", "PROGRAMS={}"],
  ...["--build-arg", "MAPS={}", "--platform", "linux/amd64,linux/s390x", "-f", "/cwd/Containerfile", "/cwd"],
];

/** Runs one build and answers its digest and what was relayed. */
async function build(
  tool: ContainerToolName,
  bin: string,
  { job = single, signal = new AbortController().signal } = {},
) {
  const lines: string[] = [];
  const work = { signal, progress: () => {}, relay: (line: string) => void lines.push(line) };
  const digest = await openContainerTools({ PATH: `${bin}:${SYSTEM}` }).buildAndPush(tool, job, work);
  return { digest, lines };
}

const ours = () => readdirSync(tmpdir()).filter((name) => name.startsWith("bpfman-build-"));

describe("docker", () => {
  test.each([
    ["one image", single, SINGLE_ARGS],
    ["several platforms", multi, MULTI_ARGS],
  ])("%s: built by buildx, which also pushes", async (_, job, args) => {
    const before = ours();
    const docker = fakeTool(directory.path(), "docker");
    expect((await build("docker", docker.bin, { job })).digest).toBe(FAKE_DIGEST);
    const metadata = expect.stringMatching(/\/bpfman-build-[^/]+\/metadata\.json$/);
    const own = ["--push", "--progress", "plain", "--metadata-file", metadata, "--tag", "example.com/acme/counter:v1"];
    expect(docker.calls()).toEqual([["buildx", "build", ...own, ...args]]);
    expect(ours()).toEqual(before);
  });
});

describe("podman", () => {
  const digestFile = expect.stringMatching(/\/bpfman-build-[^/]+\/digest$/);

  test("one image is built, then pushed", async () => {
    const podman = fakeTool(directory.path(), "podman");
    expect((await build("podman", podman.bin)).digest).toBe(FAKE_DIGEST);
    expect(podman.calls()).toEqual([
      ["build", "--tag", "example.com/acme/counter:v1", ...SINGLE_ARGS],
      ["push", "--digestfile", digestFile, "example.com/acme/counter:v1", "docker://example.com/acme/counter:v1"],
    ]);
  });

  test("several platforms go into a new list, which is removed when it was pushed", async () => {
    const podman = fakeTool(directory.path(), "podman");
    expect((await build("podman", podman.bin, { job: multi })).digest).toBe(FAKE_DIGEST);
    const list = podman.calls()[0]?.[2] ?? "";
    expect(list).toMatch(/^localhost\/bpfman-build-[0-9a-f-]{36}$/);
    expect(podman.calls()).toEqual([
      ["manifest", "create", list],
      ["build", "--manifest", list, ...MULTI_ARGS],
      ["manifest", "push", "--all", "--digestfile", digestFile, list, "docker://example.com/acme/counter:v1"],
      ["manifest", "rm", list],
    ]);
  });

  test("the list is also removed when the build fails, and the error is the build's", async () => {
    const podman = fakeTool(directory.path(), "podman", '[ "$1" != build ] || exit 125; [ "$2" != rm ] || exit 1');
    const error = await failureOfAsync(() => build("podman", podman.bin, { job: multi }));
    expect(error).toMatchObject({ code: "CONTAINER_BUILD_FAILED", details: { command: "build", exit_status: 125 } });
    expect(podman.calls().map((words) => words.slice(0, 2))).toEqual([
      ["manifest", "create"],
      ["build", "--manifest"],
      ["manifest", "rm"],
    ]);
  });
});

describe("a tool that fails", () => {
  test("is reported with its exit status and what it said", async () => {
    const podman = fakeTool(
      directory.path(),
      "podman",
      "echo step 1; echo 'Error: no such host' >&2; echo bye; exit 7",
    );
    const error = await failureOfAsync(() => build("podman", podman.bin));
    expect(error).toMatchObject({ code: "CONTAINER_BUILD_FAILED", kind: "unavailable" });
    expect(error.message).toBe("podman build ended with exit status 7: Error: no such host");
    expect(error.details).toMatchObject({ tool: "podman", command: "build", exit_status: 7 });
    expect([...(error.details.output as string[])].sort()).toEqual(["Error: no such host", "bye", "step 1"]);
  });
  test("that a signal ends has failed", async () => {
    const docker = fakeTool(directory.path(), "docker", "kill -KILL $$");
    const error = await failureOfAsync(() => build("docker", docker.bin));
    expect(error.message).toBe("docker buildx build was ended by a signal");
  });
  test("that cannot be started is named, and another one is chosen", async () => {
    const docker = fakeTool(directory.path(), "docker");
    const podman = fakeTool(directory.path(), "podman");
    writeFileSync(join(docker.bin, "docker"), "#!/absent/interpreter\n");
    const error = await failureOfAsync(() => build("docker", docker.bin));
    expect(error).toMatchObject({ code: "CONTAINER_BUILD_FAILED", message: expect.stringContaining("/docker") });
    const tools = openContainerTools({ PATH: `${docker.bin}:${podman.bin}` });
    expect(await tools.choose(null, NEVER)).toBe("podman");
  });
  test("that does not say what it pushed has failed", async () => {
    const docker = fakeTool(directory.path(), "docker", "exit 0");
    expect((await failureOfAsync(() => build("docker", docker.bin))).code).toBe("CONTAINER_BUILD_FAILED");
    const podman = fakeTool(
      directory.path(),
      "podman",
      'while [ $# -gt 1 ]; do shift; [ "$1" != --digestfile ] || echo no >"$2"; done; exit 0',
    );
    const error = await failureOfAsync(() => build("podman", podman.bin));
    expect(error.message).toBe('read which digest was pushed: "no" is not one');
  });
});

test("output is passed on line by line, in pieces when a line does not end", async () => {
  const podman = fakeTool(
    directory.path(),
    "podman",
    `[ "$1" = build ] || exit 0
echo one; echo; printf 'two, without an end'; head -c 100000 /dev/zero | tr '\\0' x >&2
while [ $# -gt 0 ]; do shift; done`,
  );
  const lines: string[] = [];
  const work = {
    signal: new AbortController().signal,
    progress: () => {},
    relay: (line: string) => void lines.push(line),
  };
  await failureOfAsync(() =>
    openContainerTools({ PATH: `${podman.bin}:${SYSTEM}` }).buildAndPush("podman", single, work),
  );
  const long = lines.filter((line) => line.startsWith("x"));
  expect(lines.filter((line) => !line.startsWith("x"))).toEqual(["one", "", "two, without an end"]);
  expect(long.join("")).toBe("x".repeat(100_000));
  expect(Math.max(...long.map((line) => line.length))).toBe(TOOL_LINE_CHARS_MAX);
});

describe("interrupted", () => {
  test("the tool and what it started are told to stop, and the list is removed", async () => {
    const children = directory.path("children");
    const podman = fakeTool(
      directory.path(),
      "podman",
      `[ "$1" = build ] || exit 0
sleep 1000 & echo $! >>'${children}'; echo $$ >>'${children}'; echo started; wait`,
    );
    const abort = new AbortController();
    const work = { signal: abort.signal, progress: () => {}, relay: () => abort.abort() };
    const tools = openContainerTools({ PATH: `${podman.bin}:${SYSTEM}` });
    const error = await failureOfAsync(() => tools.buildAndPush("podman", multi, work));
    expect(error.code).toBe("CANCELLED");
    const pids = readFileSync(children, "utf8").trim().split("\n");
    expect(pids).toHaveLength(2);
    for (const pid of pids) {
      const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "gone";
      expect(stat).toMatch(/^gone$|\) [ZX] /);
    }
    expect(podman.calls().at(-1)?.slice(0, 2)).toEqual(["manifest", "rm"]);
  });
  test("before it began, nothing runs", async () => {
    const docker = fakeTool(directory.path(), "docker");
    const error = await failureOfAsync(() => build("docker", docker.bin, { signal: AbortSignal.abort() }));
    expect(error.code).toBe("CANCELLED");
    expect(docker.calls()).toEqual([]);
  });
});

describe("the choice", () => {
  const choose = (path: string, wanted: ContainerToolName | null = null) =>
    openContainerTools({ PATH: path }).choose(wanted, NEVER);

  test("is docker when its buildx works", async () => {
    const docker = fakeTool(directory.path(), "docker");
    const podman = fakeTool(directory.path(), "podman");
    expect(await choose(`${podman.bin}:${docker.bin}`)).toBe("docker");
    expect(docker.calls()).toEqual([["buildx", "version"]]);
  });
  test("is podman when docker has no buildx, or is not there", async () => {
    const docker = fakeTool(directory.path(), "docker", "exit 1");
    const podman = fakeTool(directory.path(), "podman");
    expect(await choose(`${docker.bin}:${podman.bin}`)).toBe("podman");
    expect(await choose(podman.bin)).toBe("podman");
  });
  test("is the one that is wanted, without asking it", async () => {
    const docker = fakeTool(directory.path(), "docker", "exit 1");
    expect(await choose(docker.bin, "docker")).toBe("docker");
    expect(docker.calls()).toEqual([]);
  });
  test("is said when there is none", async () => {
    const docker = fakeTool(directory.path(), "docker", "exit 1");
    const none = { code: "CONTAINER_TOOL_MISSING", kind: "precondition" };
    expect(await failureOfAsync(() => choose(docker.bin))).toMatchObject(none);
    expect(await failureOfAsync(() => choose(docker.bin, "podman"))).toMatchObject({
      ...none,
      message: 'build from a container file: "podman" is not in PATH',
    });
    expect(await failureOfAsync(() => openContainerTools({}).choose(null, NEVER))).toMatchObject(none);
  });
  test("is never taken from the current directory, and is never a file that is not a program", async () => {
    const podman = fakeTool(directory.path(), "podman");
    writeFileSync(directory.path("docker"), "no program");
    const relative = `.:${podman.bin.slice(1)}::${directory.path()}`;
    expect((await failureOfAsync(() => choose(relative))).code).toBe("CONTAINER_TOOL_MISSING");
  });
});
