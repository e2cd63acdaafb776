#!/usr/bin/env node
// Runs the executable for this processor, which is in a package of its own that npm chooses by "os" and "cpu".
"use strict";
const { spawn } = require("node:child_process");

function find() {
  const name = `@bpfman/linux-${process.arch}`;
  try {
    return require.resolve(`${name}/bin/bpfman`);
  } catch {
    const reason =
      process.platform === "linux" && ["x64", "arm64"].includes(process.arch)
        ? `package ${name} is missing: install bpfman again, without --omit=optional`
        : `it runs on Linux on x64 and arm64; this is ${process.platform} on ${process.arch}`;
    process.stderr.write(`error: start bpfman: ${reason}\n`);
    process.exit(1);
  }
}

const child = spawn(find(), process.argv.slice(2), { stdio: "inherit" });
// A terminal sends its signals to both; whoever sends one to this process means the child.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  process.stderr.write(`error: start bpfman: ${error.message}\n`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
