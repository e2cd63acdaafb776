/** Runs a command until it exits and returns its output. If it fails, throws an error with that output. */
export function run(command: readonly string[], cwd?: string): string {
  const result = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe", ...(cwd === undefined ? {} : { cwd }) });
  if (result.exitCode === 0) return result.stdout.toString();
  const words = result.stderr.toString().trim() || result.stdout.toString().trim();
  throw new Error(`${command.slice(0, 2).join(" ")} failed with status ${result.exitCode}: ${words}`);
}
