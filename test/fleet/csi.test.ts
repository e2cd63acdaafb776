/** csi-sanity, as its project builds it, asks what the Container Storage Interface prescribes. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { executable } from "../labs/executable.ts";
import { until } from "../labs/kernel-lab.ts";
import { entered, mountNamespaces } from "../labs/mount-namespace.ts";
import { goProgram, missingProgram } from "./go-program.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
/** Those about a node and who it is. Others are about controllers, and about what a node need not do. */
const SPECS = 13;

const running: Bun.Subprocess[] = [];
cleanUpAfterEach(async () => {
  for (const child of running.splice(0).toReversed()) {
    child.kill("SIGTERM");
    await child.exited;
  }
});
const makeNamespace = mountNamespaces();
const bpfman = executable();

const reason = missingProgram("csi-sanity") ?? missingProgram("controller");
if (reason !== null) test.skip(`csi-sanity (skipped: ${reason})`, () => {});
else {
  test(
    "csi-sanity finds nothing wrong",
    async () => {
      const [sanity, controller] = [goProgram("csi-sanity"), goProgram("controller")];
      const namespace = makeNamespace();
      await entered(namespace);
      const start = async (socket: string, ...words: readonly string[]): Promise<void> => {
        running.push(Bun.spawn(namespace.command(...words), { stdio: ["ignore", "ignore", "pipe"] }));
        await until(() => existsSync(socket));
      };
      const inside = (...words: readonly string[]): string => namespace.sh(...bpfman.command(...words));
      const [own, whole] = [bpfman.path("csi.sock"), bpfman.path("whole.sock")];
      const sockets = ["--socket-path", bpfman.path("d.sock"), "--socket-group", "0", "--csi-socket", own];
      await start(own, ...bpfman.command("serve", "--csi-support", ...sockets));
      const named = ["-m", "bpfman.io/ProgramName=sanity"];
      const id = inside("load", "file", "--path", OBJECT, "--programs", "tracepoint:on_openat", ...named, "-q").trim();
      await start(whole, controller, whole, own, "sanity", "counters_of_life");
      const places = ["-csi.mountdir", bpfman.path("mount"), "-csi.stagingdir", bpfman.path("staging")];
      const which = ["-ginkgo.no-color", "-ginkgo.focus", "Identity Service|Node Service"];
      const words = namespace.command(sanity, "-csi.endpoint", `unix://${whole}`, ...places, ...which);
      const { exitCode, stdout } = Bun.spawnSync(words);
      const said = stdout.toString();
      expect({ exitCode, said: exitCode === 0 ? "" : said }).toEqual({ exitCode: 0, said: "" });
      expect(said).toContain(`Ran ${SPECS} of `);
      expect(namespace.mountsIn(bpfman.path("mount"))).toEqual([]);
      expect(existsSync(`${bpfman.runtimeDir}/csi`)).toBe(false);
      inside("unload", id);
    },
    10 * 60_000,
  );
}
