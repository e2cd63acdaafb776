/** The internet services that documents name, for one network namespace: registries and Sigstore on loopback. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchCosign } from "../../scripts/cosign.ts";
import { containerStorage } from "../labs/container-storage.ts";
import { PASSWORD, USER } from "./registry.ts";

export interface PublicServices {
  /** `hosts` and `authority.pem`, which belong into /etc; `root.json`, from which cosign goes on. */
  readonly directory: string;
  /** Path of the executable. */
  readonly cosign: string;
  /** What a workflow of GitHub's finds in its environment, and where podman keeps to itself. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function startPublicServices(netns: string): Promise<PublicServices> {
  // A short name: podman refuses directories of more than 50 characters.
  const directory = mkdtempSync(join(tmpdir(), "bpfman-p-"));
  const script = join(import.meta.dir, "public-services-process.ts");
  const child = Bun.spawn(["nsenter", `--net=${netns}`, process.execPath, script, directory], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const first = await child.stdout.getReader().read();
  if (first.done) throw new Error(`the public services ended before they were ready: ${await child.exited}`);
  const { PATH: _, HOME: __, ...storage } = containerStorage(join(directory, "c"), []);
  return {
    directory,
    cosign: fetchCosign("3"),
    env: {
      ...storage,
      COSIGN_PASSWORD: "",
      GITHUB_ACTOR: USER,
      GITHUB_TOKEN: PASSWORD,
      ACTIONS_ID_TOKEN_REQUEST_URL: "https://token.actions.githubusercontent.com/token?api-version=2.0",
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request",
    },
    async close() {
      await child.stdin.end();
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
