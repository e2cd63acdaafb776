/**
 * Builds images with docker or podman, called with argument lists, never through a shell. Relays their output by line.
 */
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { CONTAINER_TOOLS, type ContainerToolName } from "../domain/container-tool.ts";
import { TOOL_STOP_TIMEOUT_MS } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { BuildWork, ContainerBuild, ContainerToolPort } from "../platform/image-build.ts";
import { runTool, type ToolRun } from "./run-tool.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Looks up tools in the environment's PATH and passes them the whole environment, so the user's settings and
 * credentials apply.
 */
export function openContainerTools(env: Environment): ContainerToolPort {
  const run = (tool: ContainerToolName, args: readonly string[], work: BuildWork): Promise<ToolRun> => {
    const path = executable(tool, env);
    if (path === null) throw missing(tool);
    return runTool([path, ...args], { env, work });
  };
  /** Reports whether docker has buildx, without which it can neither build for other platforms nor push its result. */
  const canBuild = async (signal: AbortSignal): Promise<boolean> => {
    const silent: BuildWork = { signal, progress: () => {}, relay: () => {} };
    try {
      return (await run("docker", ["buildx", "version"], silent)).code === 0;
    } catch (cause) {
      if (signal.aborted) throw cause;
      return false;
    }
  };
  return {
    async choose(wanted, signal) {
      if (wanted !== null) {
        if (executable(wanted, env) === null) throw missing(wanted);
        return wanted;
      }
      if (executable("docker", env) !== null && (await canBuild(signal))) return "docker";
      if (executable("podman", env) !== null) return "podman";
      throw missing(null);
    },
    async buildAndPush(tool, build, work) {
      const directory = mkdtempSync(join(tmpdir(), "bpfman-build-"));
      const must = async (...args: readonly string[]): Promise<void> => {
        const { code, lastLines } = await run(tool, args, work);
        if (code !== 0) throw failed({ tool, args, code, lastLines });
      };
      const tidy = async (...args: readonly string[]): Promise<void> => {
        const patient = { ...work, signal: AbortSignal.timeout(TOOL_STOP_TIMEOUT_MS) };
        const { code } = await run(tool, args, patient).catch(() => ({ code: null }));
        if (code !== 0) work.relay(`left behind; to remove it: ${tool} ${args.join(" ")}`);
      };
      const parts = { directory, must, tidy };
      try {
        return tool === "docker" ? await withDocker(build, parts) : await withPodman(build, parts);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

interface Tool {
  /** Directory for files the tool writes. */
  readonly directory: string;
  /** Runs the tool. Throws CONTAINER_BUILD_FAILED unless it exits with 0. */
  must(...args: readonly string[]): Promise<void>;
  /** Runs the tool to clean up, even after an interruption. Never throws: an earlier failure is what matters. */
  tidy(...args: readonly string[]): Promise<void>;
}

/** Options that docker and podman share. */
const argumentsOf = ({ containerFile, contextDirectory, platforms, buildArgs }: ContainerBuild): string[] => [
  ...Object.entries(buildArgs).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
  ...(platforms.length === 0 ? [] : ["--platform", platforms.join(",")]),
  "-f",
  containerFile,
  contextDirectory,
];

async function withDocker(build: ContainerBuild, { directory, must }: Tool): Promise<string> {
  const metadata = join(directory, "metadata.json");
  const own = ["--push", "--progress", "plain", "--metadata-file", metadata, "--tag", build.tag];
  await must("buildx", "build", ...own, ...argumentsOf(build));
  return pushedDigest(metadata, (text) => JSON.parse(text)["containerimage.digest"]);
}

/**
 * podman 4 appends to an existing manifest list and rejects one whose tag is an image's. The list therefore gets a
 * unique name and is removed after the push.
 */
async function withPodman(build: ContainerBuild, { directory, must, tidy }: Tool): Promise<string> {
  const digestFile = join(directory, "digest");
  const destination = `docker://${build.tag}`;
  if (build.platforms.length === 0) {
    await must("build", "--tag", build.tag, ...argumentsOf(build));
    await must("push", "--digestfile", digestFile, build.tag, destination);
  } else {
    const list = `localhost/bpfman-build-${crypto.randomUUID()}`;
    await must("manifest", "create", list);
    try {
      await must("build", "--manifest", list, ...argumentsOf(build));
      await must("manifest", "push", "--all", "--digestfile", digestFile, list, destination);
    } finally {
      await tidy("manifest", "rm", list);
    }
  }
  return pushedDigest(digestFile, (text) => text.trim());
}

function pushedDigest(file: string, read: (text: string) => unknown): string {
  let digest: unknown;
  try {
    digest = read(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new BpfmanError("CONTAINER_BUILD_FAILED", "read which digest was pushed: the container tool did not say", {
      cause,
    });
  }
  if (typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  throw new BpfmanError("CONTAINER_BUILD_FAILED", `read which digest was pushed: "${digest}" is not one`);
}

/** Looks it up in PATH, skipping relative directories: root must not run a program from the current directory. */
function executable(name: string, env: Environment): string | null {
  for (const directory of (env.PATH ?? "").split(":").filter(isAbsolute)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

function missing(wanted: ContainerToolName | null): BpfmanError {
  const what = wanted === null ? `none of ${CONTAINER_TOOLS.join(", ")} can build` : `"${wanted}" is not in PATH`;
  return new BpfmanError("CONTAINER_TOOL_MISSING", `build from a container file: ${what}`, { details: { wanted } });
}

interface Failure {
  readonly tool: ContainerToolName;
  readonly args: readonly string[];
  readonly code: number | null;
  readonly lastLines: readonly string[];
}

function failed({ tool, args, code, lastLines }: Failure): BpfmanError {
  const verb = args.slice(0, /^(buildx|manifest)$/.test(args[0] ?? "") ? 2 : 1).join(" ");
  const end = code === null ? "was ended by a signal" : `ended with exit status ${code}`;
  const said = lastLines.findLast((line) => /error/i.test(line)) ?? lastLines.at(-1);
  return new BpfmanError("CONTAINER_BUILD_FAILED", `${tool} ${verb} ${end}${said === undefined ? "" : `: ${said}`}`, {
    details: { tool, command: verb, exit_status: code, output: lastLines },
  });
}
