/**
 * `npm run keep-database -- FILE`, as root: writes the database that this version leaves after typical commands, as SQL, for
 * test/unit/store/released.test.ts. They run in a network of their own, and what they load is gone at the end.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "./vm/run.ts";

const ROOT = resolve(import.meta.dir, "..");
const BPF = join(ROOT, "dist/bpf");

const SCRIPT = `
  bpfman() { "$ROOT/dist/bpfman" --runtime-dir "$DIRECTORY" "$@" >/dev/null; }
  trap 'bpfman program delete --all' EXIT
  ip link add near type veth peer name far
  bpfman load file --path "$BPF/examples/packet_counter.bpf.o" --programs tcx:count_packets tracepoint:count_openat \\
    -a demo --keep --metadata owner=acme
  bpfman attach demo/count_packets tcx -i near -d ingress -p 50
  bpfman attach demo/count_openat tracepoint --tracepoint syscalls/sys_enter_openat
  bpfman load file --path "$BPF/fixtures/chain.bpf.o" --programs xdp:xdp_member_0 xdp:xdp_member_1 -a chain
  bpfman attach chain/xdp_member_0 xdp -i near -p 50
  # Refused by kernels that cannot chain, and kept in the history either way.
  bpfman attach chain/xdp_member_1 xdp -i near -p 60 || true
  sqlite3 "$DIRECTORY/state/bpfman.db" .dump >"$DIRECTORY/dump.sql"
  sqlite3 "$DIRECTORY/state/bpfman.db" 'PRAGMA user_version' >"$DIRECTORY/version"
`;

const [file, ...more] = process.argv.slice(2);
if (file === undefined || more.length > 0) {
  console.error("usage: npm run keep-database -- FILE");
  process.exit(2);
}
const directory = mkdtempSync(join(tmpdir(), "bpfman-keep-"));
try {
  const words = [
    "env",
    `ROOT=${ROOT}`,
    `BPF=${BPF}`,
    `DIRECTORY=${directory}`,
    "unshare",
    "--net",
    "bash",
    "-euc",
    SCRIPT,
  ];
  run(words);
  const version = (await Bun.file(join(directory, "version")).text()).trim();
  const dump = (await Bun.file(join(directory, "dump.sql")).text())
    .replaceAll(BPF, "/usr/lib/bpfman")
    .replaceAll(join(directory, "state"), "/var/lib/bpfman")
    .replaceAll(directory, "/run/bpfman")
    .replaceAll(/[ \t]+$/gm, "");
  writeFileSync(file, `PRAGMA user_version = ${version};\n${dump}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
