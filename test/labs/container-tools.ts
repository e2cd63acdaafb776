/** podman, buildah and skopeo with their own store, login and configuration, below one directory. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ContainerTools {
  readonly directory: string;
  /** Where `podman login` writes. */
  readonly authFile: string;
  /** A file in the directory, which is the context of builds. */
  write(name: string, content: string | Uint8Array): void;
  /** Must succeed; answers what it printed. */
  podman(...words: readonly string[]): Promise<string>;
  buildah(...words: readonly string[]): Promise<string>;
  skopeo(...words: readonly string[]): Promise<string>;
  close(): void;
}

/** Lets this process go on meanwhile: what a tool talks to may run in it. */
async function run(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${error}`);
  return out;
}

/** Registries at `hosts` are talked to without TLS, or without asking for their certificate. */
export function containerTools(...hosts: readonly string[]): ContainerTools {
  // A short name: podman refuses a --runroot of more than 50 characters.
  const directory = mkdtempSync(join(tmpdir(), "c-"));
  const path = (name: string) => join(directory, name);
  writeFileSync(
    path("registries.conf"),
    hosts.map((host) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`).join("\n"),
  );
  writeFileSync(path("auth.json"), "{}");
  writeFileSync(path("policy.json"), JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  const env = [
    "env",
    `CONTAINERS_REGISTRIES_CONF=${path("registries.conf")}`,
    `REGISTRY_AUTH_FILE=${path("auth.json")}`,
    `XDG_RUNTIME_DIR=${directory}`,
    `TMPDIR=${directory}`,
  ];
  // No container is ever run: files are put into empty images, so nothing needs to be mounted.
  const store = ["--root", path("store"), "--runroot", path("run"), "--storage-driver", "vfs"];
  return {
    directory,
    authFile: path("auth.json"),
    write: (name, content) => writeFileSync(path(name), content),
    podman: (...words) => run(...env, "podman", ...store, "--cgroup-manager=cgroupfs", ...words),
    buildah: (...words) => run(...env, "buildah", ...store, ...words),
    skopeo: (...words) => run(...env, "skopeo", "--policy", path("policy.json"), "--tls-verify=false", ...words),
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}
