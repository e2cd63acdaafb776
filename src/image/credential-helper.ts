/** Credential helpers of docker and podman: `docker-credential-NAME get` (docker/docker-credential-helpers). */
import { isAbsolute } from "node:path";
import { CREDENTIAL_HELPER_TIMEOUT_MS, REGISTRY_TEXT_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Credentials } from "./credential.ts";

interface Question {
  /** The value in the credentials file, which should be a string. */
  readonly helper: unknown;
  readonly server: string;
  /** The path of that file, for messages. */
  readonly source: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The message of a working helper that has no credentials for the server. */
const NOTHING_KNOWN = /credentials not found/i;

/** Returns null if the helper has no credentials. Throws INVALID_CREDENTIALS without the helper's stdout. */
export async function askHelper({ helper, server, source }: Question, env: Environment): Promise<Credentials | null> {
  if (typeof helper !== "string" || !/^[A-Za-z0-9_.-]+$/.test(helper)) {
    throw new BpfmanError("INVALID_CREDENTIALS", `read the credentials in ${source}: it names no valid helper`);
  }
  const name = `docker-credential-${helper}`;
  // Skip relative directories: root must not run a helper from the current directory.
  const directories = (env.PATH ?? "").split(":").filter(isAbsolute).join(":");
  const program = Bun.which(name, { PATH: directories });
  if (program === null) {
    throw new BpfmanError("INVALID_CREDENTIALS", `ask "${name}" for credentials: there is no such program in PATH`, {
      details: { helper: name, source },
      hint: `install it, or remove it from ${source}`,
    });
  }
  const child = Bun.spawn([program, "get"], {
    stdin: Buffer.from(`${server}\n`),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...env },
    timeout: CREDENTIAL_HELPER_TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: REGISTRY_TEXT_BYTES_MAX,
  });
  const [output, complaint] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.exitCode !== 0) {
    if (NOTHING_KNOWN.test(output) || NOTHING_KNOWN.test(complaint)) return null;
    const end = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
    throw new BpfmanError("INVALID_CREDENTIALS", `ask "${name}" for credentials: it ended with ${end}`, {
      details: { helper: name, source },
      hint: `try it: echo ${server} | ${name} get`,
    });
  }
  const { Username: username, Secret: secret } = answerIn(output);
  if (typeof username !== "string" || typeof secret !== "string" || secret === "") {
    throw new BpfmanError("INVALID_CREDENTIALS", `ask "${name}" for credentials: its answer lacks a user or a secret`, {
      details: { helper: name, source },
    });
  }
  const from = `"${name}"`;
  return username === "<token>"
    ? { identityToken: secret, source: from }
    : { username, password: secret, source: from };
}

function answerIn(output: string): Readonly<Record<string, unknown>> {
  try {
    const answer: unknown = JSON.parse(output);
    return typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
