import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { Argument, Command, Flag } from "../command.ts";
import { SCRIPTS, SHELLS } from "./scripts.ts";
import { parseWord } from "../parse/word.ts";

const TARGET: Argument = {
  name: "target",
  doc: [
    "Required: The shell whose completion is printed: bash, zsh or fish;",
    "or the folder into which the completions are written.",
  ],
  choices: SHELLS,
  completes: "directory",
};
const SHELL: Flag = {
  long: "shell",
  short: "s",
  takes: "one",
  choices: SHELLS,
  doc: ["Optional: Write the completion of this shell only.", "", "[possible values: bash, zsh, fish]"],
};

/** Shells that people have and there is no completion for. */
const OTHER_SHELLS: readonly string[] = [
  "ash",
  "csh",
  "dash",
  "elvish",
  "ksh",
  "nu",
  "nushell",
  "powershell",
  "pwsh",
  "sh",
  "tcsh",
];

/** A name of a shell, or one that is nearly that of ours, is hardly meant as a folder. Throws USAGE. */
function refuseShell(target: string): void {
  const near = didYouMean(target, SHELLS);
  if (near === null && !OTHER_SHELLS.includes(target)) return;
  throw new BpfmanError("USAGE", `no completion for shell "${target}": there is one for ${SHELLS.join(", ")}`, {
    hint: `${near === null ? "" : `${near} `}for a folder of that name write ./${target}`,
  });
}

export const completions: Command = {
  description: [
    "Generates shell completions, which know programs, links, interfaces, namespaces,",
    "tracepoints, kernel functions, and what is in an object file.",
    "",
    "For the bash or zsh that is running: source <(bpfman completions bash)",
    "For the fish that is running: bpfman completions fish | source",
  ],
  args: [TARGET],
  flags: [SHELL],
  examples: [
    { does: "See what bash would be given", line: "bpfman completions bash" },
    { does: "For every zsh", line: "bpfman completions -s zsh /usr/share/zsh/site-functions" },
    { does: "For all shells, to be packaged", line: "bpfman completions out/completions" },
  ],
  prepare(line) {
    const target = line.word(TARGET);
    const shell = line.value(SHELL);
    const asked = shell === null ? null : parseWord(shell, { what: "shell", words: SHELLS, code: "USAGE" });
    const printed = SHELLS.find((name) => name === target);
    if (asked === null && printed === undefined) refuseShell(target);
    return async (session) => {
      if (printed !== undefined && asked === null) return session.write(SCRIPTS[printed].text);
      const shells = asked === null ? SHELLS : [asked];
      const files = session.save(
        target,
        shells.map((name) => ({ name: SCRIPTS[name].file, text: SCRIPTS[name].text })),
      );
      session.print({ files }, () => files.map((path) => `${path}\n`).join(""));
    };
  },
};
