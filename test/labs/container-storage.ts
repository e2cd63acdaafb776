/** podman, buildah and skopeo with private storage: everything is in one directory, without a daemon or mounts. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Environment by which they, and whoever runs them, keep to `directory`. The registries named are spoken to without TLS. */
export function containerStorage(
  directory: string,
  plainRegistries: readonly string[],
): Readonly<Record<string, string>> {
  mkdirSync(directory, { recursive: true });
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const inDirectory = (name: string) => JSON.stringify(join(directory, name));
  const registries = plainRegistries.map((host) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`);
  return {
    PATH: process.env.PATH ?? "",
    HOME: directory,
    TMPDIR: directory,
    BUILDAH_ISOLATION: "chroot",
    CONTAINERS_STORAGE_CONF: file(
      "storage.conf",
      `[storage]\ndriver = "vfs"\ngraphroot = ${inDirectory("graph")}\nrunroot = ${inDirectory("run")}\n`,
    ),
    CONTAINERS_REGISTRIES_CONF: file("registries.conf", `unqualified-search-registries = []\n${registries.join("")}`),
    CONTAINERS_CONF: file(
      "containers.conf",
      // Locks in a file: the default is one piece of memory for all that root's podman ever runs.
      `[engine]\nimage_copy_tmp_dir = ${inDirectory(".")}\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\ntmp_dir = ${inDirectory("tmp")}\n`,
    ),
  };
}

/** What these tools remember of blobs goes to /var/lib whatever they are told: behind this prefix they see an empty one. */
export const APART: readonly string[] = [
  "unshare",
  "--mount",
  "sh",
  "-c",
  'mount -t tmpfs none /var/lib && exec "$@"',
  "sh",
];

/** Runs a command to its end, which must be a good one. Answers its standard output. */
export async function output(command: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const child = Bun.spawn([...APART, ...command], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}\n${out}${error}`);
  return out;
}
