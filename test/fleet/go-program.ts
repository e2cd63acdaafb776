/** Programs in Go that only these tests use, built from the pinned modules of test/fleet/go and test/fleet/csi. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cacheDirectory } from "../../scripts/debian.ts";

const MODULE = resolve(import.meta.dir, "go");
/** The first time, hundreds of packages are downloaded and compiled. */
export const BUILD_LIMIT_MS = 30 * 60_000;
const CACHE = cacheDirectory("bpfman-fleet");

const go = (): string | null => Bun.which("go") ?? (existsSync("/usr/local/go/bin/go") ? "/usr/local/go/bin/go" : null);

/** Set by `npm run test:fleet`, which builds what is missing, and fails if it cannot. Building takes minutes, once. */
const MAY_BUILD = process.env.BPFMAN_FLEET !== undefined;

/** Name of an executable, and the package that it is built from. */
export const PROGRAMS = {
  "bpfman-agent": "github.com/bpfman/bpfman-operator/cmd/bpfman-agent",
  kustomize: "sigs.k8s.io/kustomize/kustomize/v5",
  decode: "./decode",
  wire: "./wire",
  "csi-sanity": "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity",
  controller: "./controller",
  // Their modules are their own: what they need has nothing to do with the rest.
  grpcurl: "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
  h2spec: "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
} as const;

/** Those that are not of {@link MODULE}. */
const OF_CSI: readonly string[] = ["csi-sanity", "controller"];

export type GoProgram = keyof typeof PROGRAMS;

const pathOf = (name: GoProgram): string => join(CACHE, "bin", name);

/** Why tests that need the program cannot run; null if they can, or must. */
export function missingProgram(name: GoProgram): string | null {
  if (MAY_BUILD || existsSync(pathOf(name))) return null;
  return `${name} is not built; "npm run test:fleet" builds it with Go`;
}

const built = new Set<GoProgram>();

/** Path of the executable. Throws if it is neither built nor can be. */
export function goProgram(name: GoProgram): string {
  const path = pathOf(name);
  if (!MAY_BUILD || built.has(name)) return path;
  const command = go();
  if (command === null) throw new Error(`Go is missing: ${name} is built from Go modules; install Go 1.25 or newer`);
  mkdirSync(CACHE, { recursive: true });
  const env = {
    ...process.env,
    GOPATH: join(CACHE, "go"),
    GOCACHE: join(CACHE, "build"),
    GOBIN: join(CACHE, "bin"),
    GOFLAGS: "-mod=readonly -trimpath",
  };
  const source = PROGRAMS[name];
  const how = source.includes("@") ? ["install", "-mod=mod", source] : ["build", "-o", path, source];
  const words = ["nice", command, ...how];
  const cwd = OF_CSI.includes(name) ? resolve(import.meta.dir, "csi") : MODULE;
  const build = Bun.spawnSync(words, { cwd, env, stderr: "pipe" });
  if (build.exitCode !== 0) throw new Error(`${words.join(" ")}: ${build.stderr}`);
  built.add(name);
  return path;
}

/** Where the operator's module is, with its manifests in `config`. */
export function operatorDirectory(): string {
  const { version } =
    /bpfman-operator (?<version>v\S+)/.exec(readFileSync(join(MODULE, "go.mod"), "utf8"))?.groups ?? {};
  return join(CACHE, `go/pkg/mod/github.com/bpfman/bpfman-operator@${version}`);
}
