/** Commands on maps and their entries. */
import { asking, defineCommand, ifGiven, optional, required, toggle, usageError, vary } from "../command.ts";
import { ALL, MAP, PROGRAM_ID } from "../fields.ts";
import { parseJsonWord } from "../parse/json-word.ts";
import { parseProgram } from "../parse/word.ts";
import { renderEntryValue, renderMap, renderMapChange, renderMapList } from "../render/map.ts";

const KEY = required({
  long: "key",
  doc: [
    "The key, by its type: JSON, or a plain word.",
    'Examples: 7, eth0, 10.0.0.1, 10.0.0.0/8, \'{"saddr":"10.0.0.1","port":53}\'',
    "Without type information, or with --raw: bytes in hex, as in 0a000001.",
  ],
});

export const RAW = toggle({ long: "raw", doc: ["Keys and values are bytes in hex, whatever their types."] });
const SUM = toggle({
  long: "sum",
  doc: ["Show the sum of the values of all processors.", "Only for maps that keep a value for each processor."],
});
export const FOREIGN = toggle({ long: "foreign", doc: ["Change the map even if another tool made it."] });

/** Stands between a value and a program. */
const PROG = "prog";

const wordOf = (word: string | null, raw: boolean, what: string): unknown =>
  word === null ? undefined : raw ? word : parseJsonWord(word, what);

export const listMaps = defineCommand(() => ({
  fields: {
    programId: ifGiven(PROGRAM_ID, {
      long: "program",
      metavar: "PROGRAM_ID",
      doc: ["Show only the maps that this program uses."],
    }),
    all: vary(ALL, { doc: ["Include maps of programs that bpfman did not load."] }),
  },
  classic: {
    examples: {
      "List the maps of one program": "bpfman map list --program 63178",
      "List every map in the kernel, as JSON": "bpfman map list --all -o json",
    },
  },
  prepare: (request) => async (session) => {
    const view = session.output === "json" ? "full" : "summary";
    session.print(await session.invoke("map/list", { ...request, view }), renderMapList);
  },
}));

export const getMap = defineCommand(() => ({
  fields: { map: MAP },
  classic: {
    words: ["map"],
    examples: { "Show the types, size and users of a map": "bpfman map get 63178/counters" },
  },
  prepare: (request) => asking("map/get", request, renderMap),
}));

export const dumpMap = defineCommand(() => ({
  description: [
    "Prints all entries of a map: a line of JSON for each, or with -o json a list.",
    "For a queue or stack, prints the next value and leaves it there.",
  ],
  fields: { map: MAP, sum: SUM, raw: RAW },
  classic: {
    words: ["map"],
    examples: {
      "Print the counters of a program": "bpfman map dump 63178/counters",
      "Add up the values of all processors": "bpfman map dump packets --sum",
    },
  },
  prepare: (request) => (session) => session.stream("map/dump", { ...request, integers: "digits" }),
}));

export const lookupMap = defineCommand(() => ({
  description: [
    "Prints the value of one entry; with -o json, its key too.",
    "A queue or stack has no keys: its next value is printed, and stays there.",
  ],
  fields: { map: MAP, key: vary<string | null>(ifGiven(KEY, {}), {}), sum: SUM, raw: RAW },
  classic: {
    words: ["map", "key"],
    examples: {
      "Print one counter": "bpfman map lookup 63178/counters 0",
      "Look up by a struct": `bpfman map lookup flows '{"saddr":"10.0.0.1"}'`,
      "Find the longest prefix that matches": "bpfman map lookup routes 10.1.2.3",
    },
  },
  prepare: ({ key, ...request }) =>
    asking("map/lookup", { ...request, key: wordOf(key, request.raw, "key"), integers: "digits" }, renderEntryValue),
}));

export const updateMap = defineCommand(() => ({
  description: [
    "Writes one entry of a map. Members of structs that are not given become 0.",
    "A queue or stack has no keys: the value is added.",
  ],
  fields: {
    map: MAP,
    key: vary(KEY, {}),
    value: optional({
      long: "value",
      doc: ["The value, written like a key.", "Maps and programs are given by their IDs."],
    }),
    prog: optional({
      long: "prog",
      choices: ["prog"],
      doc: ["The word before a program that the entry runs."],
    }),
    program: ifGiven(PROGRAM_ID, {
      long: "program",
      doc: ["The program that an entry of a devmap, a cpumap or an array of programs runs: its ID or name."],
    }),
    create: toggle({ long: "create", doc: ["Fail if the map already has an entry with that key."] }),
    existing: toggle({ long: "existing", doc: ["Fail unless the map has an entry with that key."] }),
    raw: RAW,
    foreign: FOREIGN,
  },
  classic: {
    words: ["map", "key", "value", "prog", "program"],
    examples: {
      "Set an entry": "bpfman map update 63178/limits eth0 1000",
      "Block a network": "bpfman map update blocked 10.0.0.0/8 1 --create",
      "Write a struct": `bpfman map update flows '{"saddr":"10.0.0.1"}' '{"packets":0}'`,
      "Add a value to a queue": "bpfman map update jobs 7",
      "Redirect to interface 2, where a program sees the packet": "bpfman map update devices 0 2 prog on_egress",
      "Put a program into an array of programs": "bpfman map update jumps 0 prog parse_ipv6",
    },
  },
  prepare({ key, value: word, prog, program: last, create, existing, ...request }) {
    // An array of programs has no other value: `KEY prog PROGRAM`.
    const isAlone = word === PROG && prog !== null && last === null;
    const [value, program] = isAlone ? [null, parseProgram(prog)] : [word, last];
    if (!isAlone && prog !== null && prog !== PROG)
      throw usageError(`unexpected word "${prog}": a program follows the word "${PROG}"`);
    if (program === null && (prog !== null || word === PROG))
      throw usageError(`"${PROG}" needs a program, by its ID or name; as a text, write '"${PROG}"'`);
    if (create && existing) throw usageError("--create and --existing are mutually exclusive");
    const mode = create ? "create" : existing ? "existing" : "any";
    const { raw } = request;
    // For a queue, the only word is the value.
    const entry =
      value === null && program === null
        ? { value: wordOf(key, raw, "value") }
        : { key: wordOf(key, raw, "key"), value: wordOf(value, raw, "value"), program };
    return asking("map/update", { ...request, ...entry, mode }, renderMapChange);
  },
}));

export const deleteEntry = defineCommand(() => ({
  fields: { map: MAP, key: KEY, raw: RAW, foreign: FOREIGN },
  classic: {
    words: ["map", "key"],
    examples: { "Delete an entry": "bpfman map delete blocked 10.0.0.0/8" },
  },
  prepare: ({ key, ...request }) =>
    asking("map/delete", { ...request, key: wordOf(key, request.raw, "key") }, renderMapChange),
}));

export const clearMap = defineCommand(() => ({
  description: ["Deletes all entries of a map. The entries of an array are set to 0 instead."],
  fields: { map: MAP, foreign: FOREIGN },
  classic: {
    words: ["map"],
    examples: { "Reset counters": "bpfman map clear 63178/counters" },
  },
  prepare: (request) => asking("map/clear", request, renderMapChange),
}));
