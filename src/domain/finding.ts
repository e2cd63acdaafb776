/**
 * What `doctor` can find: each code, how much it matters, what it means, what follows from it and what to do. The codes
 * are part of the contract; docs/findings.md is generated from this table.
 */

/** `error`: something does not run as it was asked to. `warning`: it runs, but something around it is wrong. */
export type Severity = "error" | "warning";

interface FindingRow {
  readonly severity: Severity;
  readonly meaning: string;
  readonly consequence: string;
  /** What to do, if the case at hand says nothing else. */
  readonly advice: string;
}

const REPAIR = "run: bpfman repair";

export const FINDINGS = {
  "database-lost": {
    severity: "error",
    meaning: "the database, or part of it, is missing, while programs that it recorded are still pinned",
    consequence:
      "what is pinned keeps running, but no command knows it, and commands that change something refuse to run",
    advice:
      "put the files back from a copy; or run: bpfman repair, which rebuilds the records from the pins and the kernel",
  },
  "database-damaged": {
    severity: "error",
    meaning: "SQLite finds the database file damaged",
    consequence: "commands fail, or answer from what is left of it",
    advice:
      "put the files back from a copy; or run: bpfman repair, which rebuilds the records from the pins and the kernel",
  },
  "database-unusable": {
    severity: "error",
    meaning: "the database exists, but this command cannot use it, or is not allowed to",
    consequence: "no command can read or change what is recorded",
    advice: "do what the evidence names, then run: bpfman doctor",
  },
  "row-unreadable": {
    severity: "error",
    meaning: "a row of the database cannot be understood",
    consequence: "every command that shows or changes that program or link fails",
    advice: REPAIR,
  },
  "pin-unrecorded": {
    severity: "error",
    meaning: "a program, link or chain of bpfman is pinned, but no row records it",
    consequence: "it keeps running, but is not listed, and cannot be detached or unloaded",
    advice: REPAIR,
  },
  "pin-unknown": {
    severity: "warning",
    meaning: "bpfman's pin directory has a pin that nothing proves to be bpfman's",
    consequence: "what it holds stays in the kernel as long as the pin does, and no command of bpfman removes it",
    advice: "find out with bpftool what it is; if nobody needs it, remove the pin with rm",
  },
  "pin-foreign": {
    severity: "error",
    meaning: "the path of a recorded pin holds another object, or a file",
    consequence: "commands on that program or link refuse to run, so that nobody else's object is touched",
    advice: "find out with bpftool what it is, and move it away; then run: bpfman repair",
  },
  "change-unfinished": {
    severity: "warning",
    meaning: "a command that has ended left a change half done, or a session that has ended left what it owned",
    consequence:
      "what was being changed may be incomplete; the next command that changes something finishes it or takes it back",
    advice: REPAIR,
  },
  "program-gone": {
    severity: "error",
    meaning: "a recorded program is no longer in the kernel",
    consequence: "it does not run, and its links have no effect",
    advice: "run: bpfman repair, which forgets it; then load and attach it again",
  },
  "program-unpinned": {
    severity: "warning",
    meaning: "a recorded program is in the kernel, but its pin is missing",
    consequence: "it disappears as soon as nothing else holds it, and cannot be attached in the meantime",
    advice: REPAIR,
  },
  "map-unpinned": {
    severity: "warning",
    meaning: "a map of a recorded program is in the kernel, but its pin is missing",
    consequence: "tools and programs that open the map by its path do not find it",
    advice: REPAIR,
  },
  "link-gone": {
    severity: "error",
    meaning: "a recorded link is no longer in the kernel",
    consequence: "its program does not run on that hook",
    advice: "run: bpfman repair, which forgets it; then attach the program again",
  },
  "link-detached": {
    severity: "error",
    meaning:
      "another tool took a link off its interface, cgroup or network namespace; the link itself is still in the kernel",
    consequence: "its program does not run on that hook",
    advice: "run: bpfman repair, which forgets it; then attach the program again",
  },
  "link-unpinned": {
    severity: "warning",
    meaning: "a recorded link is in the kernel, but its pin is missing",
    consequence: "it is detached as soon as nothing else holds it",
    advice: REPAIR,
  },
  "hook-gone": {
    severity: "error",
    meaning: "the interface or the network namespace of a link or chain no longer exists",
    consequence:
      "its programs see no packets there, and never will again: a new interface of the same name is a different one",
    advice: "run: bpfman repair, which forgets those links; the programs stay loaded",
  },
  "target-gone": {
    severity: "error",
    meaning: "the cgroup that a link is attached to has been removed",
    consequence:
      "its program does not run there, and never will again: a new cgroup of the same name is a different one",
    advice: "run: bpfman repair, which forgets those links; the programs stay loaded",
  },
  "namespace-held": {
    severity: "warning",
    meaning: "a netfilter link keeps a network namespace alive whose path is gone or leads to another one",
    consequence:
      "the namespace and its interfaces stay until the link is detached, and a new namespace at that path runs without the program",
    advice: "detach the link, unless processes still run in that namespace",
  },
  "target-replaced": {
    severity: "warning",
    meaning: "the file that a uprobe is attached to was removed or replaced",
    consequence: "processes that run the new file are not probed",
    advice: "detach the link, and attach the program again",
  },
  "hook-empty": {
    severity: "error",
    meaning: "a recorded chain is complete but not on its hook: somebody detached it, or deleted its filter",
    consequence: "none of its programs sees packets",
    advice: "run: bpfman repair, which puts it back on its hook",
  },
  "hook-taken": {
    severity: "error",
    meaning: "somebody else's program is on the hook, or in the filter, on which a chain is recorded",
    consequence: "the chain's programs see no packets",
    advice:
      "run: bpfman repair, which leaves that program alone and forgets the links; the chain's programs stay loaded",
  },
  "dispatcher-differs": {
    severity: "error",
    meaning: "what runs on a hook is not what the rows of its chain say",
    consequence: "other programs run than those that are listed, or in another order",
    advice: "run: bpfman repair, which builds the chain again from the rows",
  },
  "revision-left": {
    severity: "warning",
    meaning: "a chain's directory holds pins, but neither the rows nor a hook use them",
    consequence: "a dispatcher and the twins of its members stay in the kernel",
    advice: REPAIR,
  },
  "maps-left": {
    severity: "warning",
    meaning: "maps are pinned for a program that no longer exists, and no other program uses them",
    consequence: "they stay in the kernel with their contents",
    advice: "copy what is needed with bpftool, then run: bpfman repair, which removes them",
  },
  "volume-gone": {
    severity: "warning",
    meaning: "a published volume is no longer mounted on its target: somebody unmounted it",
    consequence: "the container that uses it no longer finds the maps",
    advice: "run: bpfman repair, which forgets it; then let it be published again",
  },
  "volume-left": {
    severity: "warning",
    meaning: "the runtime directory has a volume that no row records",
    consequence: "its maps stay in the kernel, and nobody unpublishes it",
    advice: "run: bpfman repair, which unmounts it wherever it is mounted",
  },
  "bytecode-lost": {
    severity: "warning",
    meaning: "bpfman's copy of a program's object file is missing",
    consequence: "the program runs, but cannot begin to share an XDP or TC hook with others",
    advice: "run: bpfman repair, which copies the file again if it is still the same where it came from",
  },
  "bytecode-changed": {
    severity: "warning",
    meaning: "bpfman's copy of a program's object file is not what was loaded",
    consequence: "the program runs, but cannot begin to share an XDP or TC hook with others",
    advice: "run: bpfman repair, which copies the file again if it is still the same where it came from",
  },
  "bpffs-unmounted": {
    severity: "error",
    meaning: "programs are recorded, but the BPF file system with their pins is not mounted",
    consequence: "the pins are gone: whatever only they held no longer runs",
    advice: REPAIR,
  },
  "bpffs-stacked": {
    severity: "error",
    meaning: "several file systems are mounted on bpfman's pin directory, one above the other",
    consequence: "the pins below are hidden: what they hold runs, but cannot be detached or unloaded",
    advice: "run: bpfman repair, which moves all pins to the lowest one",
  },
  "lock-stuck": {
    severity: "warning",
    meaning: "the process that holds the writer lock is stopped",
    consequence: "commands that change something wait for it, and then fail with LOCK_TIMEOUT",
    advice: "let it continue with kill -CONT, or end it",
  },
  "place-unsafe": {
    severity: "error",
    meaning: "a directory or file of bpfman belongs to another user, or others can write to it",
    consequence: "commands refuse to use it, because whoever can write there could make them do anything",
    advice: "find out what was put there, then run the command that the evidence names",
  },
  "libbpf-missing": {
    severity: "error",
    meaning: "libbpf is not installed, or too old",
    consequence: "no program can be loaded; what is loaded keeps running",
    advice: "install it: apt install libbpf1, dnf install libbpf, zypper install libbpf1",
  },
  "check-failed": {
    severity: "warning",
    meaning: "one of the checks could not be carried out",
    consequence: "there may be more than is shown",
    advice: "do what the evidence says, then run: bpfman doctor",
  },
} as const satisfies Record<string, FindingRow>;

export type FindingCode = keyof typeof FINDINGS;

/** The row of a code, with the types of any row. */
export const findingRow = (code: FindingCode): FindingRow => FINDINGS[code];
