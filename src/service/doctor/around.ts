/** What programs and links depend on: mounts, the database as a whole, the lock, directories, libbpf; and what to know. */
import type { NoteAnswer, VersionAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import type { DatabaseProblem } from "../../platform/machine.ts";
import { type Found, finding, type Mend } from "./finding.ts";
import { mergeMounts } from "./mounts.ts";
import type { Rows } from "./rows.ts";

export function checkPlaces(host: Host): Found[] {
  const { machine } = host;
  const unsafe = machine
    .unsafePlaces()
    .map(({ path, problem, remedy }) => finding("place-unsafe", problem, { path }, { remedy }));
  const holder = machine.lockHolder();
  if (holder?.stopped !== true) return unsafe;
  const { pid, command } = holder;
  const remedy = `let it continue: kill -CONT ${pid}; or end it: kill -KILL ${pid}, and the next command finishes its change`;
  const what = `process ${pid}${command === null ? "" : ` (${command})`} is stopped, and holds the writer lock`;
  return [...unsafe, finding("lock-stuck", what, { pid, command }, { remedy })];
}

/** Mounts come first, because they decide which pins there are. */
export function checkMounts(host: Host, { brief, copies }: Pick<Rows, "brief" | "copies">): Found[] {
  const { root } = host.pins.paths;
  const mounts = host.pins.mounts();
  if (mounts > 1) {
    const mend: Mend = {
      stage: "mounts",
      action: `move all pins to the lowest file system on ${root}, and unmount the others`,
      run: () => mergeMounts(host),
    };
    return [
      finding("bpffs-stacked", `${mounts} file systems are mounted on ${root}`, { path: root, mounts }, { mend }),
    ];
  }
  if (host.pins.isMounted() || brief.length + copies.length === 0) return [];
  const mend: Mend = { stage: "mounts", action: `mount a BPF file system on ${root}`, run: () => host.pins.prepare() };
  return [finding("bpffs-unmounted", `no BPF file system is mounted on ${root}`, { path: root }, { mend })];
}

export function checkDatabase(evidence: Found["evidence"], problem: DatabaseProblem, mend: Mend): Found {
  const { kind, what, hint } = problem;
  if (kind === "unusable") return finding("database-unusable", what, evidence, { remedy: hint });
  return finding(kind === "lost" ? "database-lost" : "database-damaged", what, evidence, { mend });
}

export function checkLibbpf({ libbpf }: VersionAnswer): Found[] {
  return libbpf === null ? [finding("libbpf-missing", "libbpf.so.1 cannot be opened", {})] : [];
}

/** What is no fault, and still good to know. */
export function notesOf(host: Host, machine: VersionAnswer, { programs }: Pick<Rows, "programs">): NoteAnswer[] {
  const notes: NoteAnswer[] = [];
  const note = (subject: string, what: string): void => void notes.push({ subject, what });
  const { features } = machine;
  if (features !== null) {
    const wanted = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"];
    const lacks = wanted.filter((name) => !features.capabilities.includes(name));
    const untried: string[] = [];
    const missing = (
      name: string,
      feature: { readonly available: boolean; readonly reason: string | null },
      so: string,
    ) => {
      if (feature.available) return;
      if (feature.reason === "EPERM" && lacks.length > 0) untried.push(name);
      else note("feature", `${name}: not available (${feature.reason ?? "unknown"}), so ${so}`);
    };
    missing("extension programs", features.ext, "only one XDP or TC program can run on a hook");
    missing("fentry and fexit", features.tracing, "programs of these kinds cannot be attached");
    missing("LSM programs", features.lsm.active, "they can be loaded at most, and have no effect");
    missing("TCX", features.tcx, "TCX programs cannot be attached; TC programs can");
    missing("kprobes", features.kprobe, "kprobe programs cannot be attached");
    missing("BPF links for perf events", features.perf_link, "tracepoints and probes cannot be attached");
    missing("kernel BTF", features.btf, "programs that use it cannot be loaded");
    missing("JIT", features.jit, "programs are interpreted, which is slower");
    if (!lacks.includes("CAP_SYS_ADMIN")) missing("BPF file system", features.bpffs, "nothing can be pinned");
    if (features.lockdown !== null && features.lockdown !== "none") {
      note(
        "lockdown",
        `the kernel is locked down (${features.lockdown}), which forbids some programs to read kernel memory`,
      );
    }
    if (lacks.length > 0) {
      const so = untried.length === 0 ? "" : `; it cannot find out whether there are: ${untried.join(", ")}`;
      note("capabilities", `this process lacks ${lacks.join(", ")}; operations that need one fail and say so${so}`);
    }
    // Pins are not looked at in a directory that others can write to.
    if (lacks.includes("CAP_SYS_ADMIN") && host.machine.unsafePlaces().length === 0 && !host.pins.isMounted()) {
      const { root } = host.pins.paths;
      note("feature", `no BPF file system is mounted on ${root}, and to mount one takes CAP_SYS_ADMIN`);
    }
  }
  for (const { path, tool } of host.machine.otherTools()) note("other-tool", `${path} is there: it belongs to ${tool}`);
  const { configFile } = host.machine;
  note(
    "configuration",
    configFile === null ? "there is no configuration file; defaults apply" : `${configFile} is in use`,
  );
  const unknown = programs.filter(({ bytecodeDigest }) => bytecodeDigest === null).map(({ id }) => id);
  if (unknown.length > 0) {
    note(
      "unknown-bytecode",
      `no checksum is recorded of the object files of program ${unknown.join(", ")}, so that they are not checked`,
    );
  }
  return notes;
}
