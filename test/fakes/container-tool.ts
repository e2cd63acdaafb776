/** Stand-ins for docker and podman where no engine runs: they record how they were called. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface FakeTool {
  /** A directory for PATH that holds the program and nothing else. */
  readonly bin: string;
  /** The words of each call in order, without the program's name. */
  calls(): string[][];
}

export const FAKE_DIGEST = `sha256:${"ab".repeat(32)}`;

/** Installs `name` below `directory`. `does` is shell code for each call, whose words are in "$@"; it may exit. */
export function fakeTool(directory: string, name: "docker" | "podman", does = ""): FakeTool {
  const bin = join(directory, `${name}-bin`);
  const log = join(directory, `${name}.log`);
  mkdirSync(bin);
  const script = `#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word" >>'${log}'; done
printf '\\n' >>'${log}'
${does}
digest='${FAKE_DIGEST}'
while [ $# -gt 0 ]; do
  case $1 in
    --metadata-file) printf '{"containerimage.digest": "%s"}' "$digest" >"$2" ;;
    --digestfile) printf '%s' "$digest" >"$2" ;;
  esac
  shift
done
`;
  writeFileSync(join(bin, name), script);
  chmodSync(join(bin, name), 0o755);
  return {
    bin,
    calls: () =>
      existsSync(log)
        ? readFileSync(log, "utf8")
            .split("\n")
            .slice(0, -1)
            .map((line) => line.split("\0").slice(0, -1))
        : [],
  };
}
