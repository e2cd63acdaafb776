/** Runs a command until it exits and returns its output. If it fails, throws an error with that output. */
export function run(command: readonly string[], cwd?: string): string {
  // The environment as it is now: without it, Bun searches the PATH that it was started with.
  const options = { env: process.env, ...(cwd === undefined ? {} : { cwd }) };
  const result = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe", ...options });
  if (result.exitCode === 0) return result.stdout.toString();
  const words = result.stderr.toString().trim() || result.stdout.toString().trim();
  throw new Error(`${command.slice(0, 2).join(" ")} failed with status ${result.exitCode}: ${words}`);
}
