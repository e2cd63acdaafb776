/** The interface that the documents use: eth0 with 10.99.0.1 and a neighbour 10.99.0.2, created as in the tutorial. */
import { beforeEach } from "bun:test";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { blocksOf } from "./document.ts";
import { sh, until } from "../labs/kernel-lab.ts";

const [MAKE = "false", REMOVE = "false"] = blocksOf("docs/tutorial.md")
  .filter(({ attributes }) => attributes["run-by"] === "test/documents/document-network.ts")
  .map(({ text }) => text);

let made = 0;

/** To be called at the top of a test file, for each of its tests. Answers the path of the namespace that has eth0. */
export function documentNetwork(): () => string {
  let near = "";
  /** The tutorial's commands, with names that are the test's own. */
  const run = (commands: string) =>
    sh("bash", "-euc", commands.replaceAll(/\bfar\b/g, `${near}-far`).replaceAll(/\btutorial\b/g, near));
  cleanUpAfterEach(() => {
    run(REMOVE);
  });
  beforeEach(async () => {
    near = `bpfman-docs-${process.pid}-${made++}`;
    run(MAKE);
    const ping = ["ip", "netns", "exec", near, "ping", "-q", "-c", "1", "-W", "1", "10.99.0.2"];
    await until(() => Bun.spawnSync(ping).exitCode === 0);
  });
  return () => `/run/netns/${near}`;
}
