import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import { defineCommand, optional, required } from "../command.ts";
import { SCRIPTS, SHELLS } from "./scripts.ts";
import { oneOf } from "../parse/word.ts";

const TARGET = required({
  long: "target",
  doc: [
    "Required: The shell whose completion is printed: bash, zsh, fish, elvish or powershell;",
    "or the folder into which the completions are written.",
  ],
  choices: SHELLS,
  completes: "directory",
});
const SHELL = optional(
  {
    long: "shell",
    short: "s",
    choices: SHELLS,
    doc: [
      "Optional: Write the completion of this shell only.",
      "",
      "[possible values: bash, zsh, fish, elvish, powershell]",
    ],
  },
  oneOf("shell", SHELLS),
);

/** Shells that people have and there is no completion for. */
const OTHER_SHELLS: readonly string[] = ["ash", "csh", "dash", "ksh", "nu", "nushell", "sh", "tcsh"];

/** What else a shell is called. */
const ALSO_CALLED: Readonly<Record<string, (typeof SHELLS)[number]>> = { pwsh: "powershell" };

/** A name of a shell, or one that is nearly that of ours, is hardly meant as a folder. Throws USAGE. */
function refuseShell(target: string): void {
  const near = didYouMean(target, SHELLS);
  if (near === null && !OTHER_SHELLS.includes(target)) return;
  throw new BpfmanError("USAGE", `no completion for shell "${target}": there is one for ${SHELLS.join(", ")}`, {
    hint: `${near === null ? "" : `${near} `}for a folder of that name write ./${target}`,
  });
}

export const completions = defineCommand({
  description: [
    "Generates shell completions, which know programs, links, interfaces, namespaces,",
    "tracepoints, kernel functions, and what is in an object file.",
    "",
    "For the bash or zsh that is running: source <(bpfman completions bash)",
    "For the fish that is running: bpfman completions fish | source",
    "For the elvish that is running: eval (bpfman completions elvish | slurp)",
    "For the PowerShell that is running: bpfman completions powershell | Out-String | Invoke-Expression",
  ],
  fields: { target: TARGET, shell: SHELL },
  classic: {
    words: ["target"],
    examples: [
      { does: "See what bash would be given", line: "bpfman completions bash" },
      { does: "For every zsh", line: "bpfman completions -s zsh /usr/share/zsh/site-functions" },
      { does: "For all shells, to be packaged", line: "bpfman completions out/completions" },
    ],
  },
  prepare({ target, shell }) {
    const printed = SHELLS.find((name) => name === (ALSO_CALLED[target] ?? target));
    if (shell === null && printed === undefined) refuseShell(target);
    return async (session) => {
      if (printed !== undefined && shell === null) return session.write(SCRIPTS[printed].text);
      const shells = shell === null ? SHELLS : [shell];
      session.save(
        target,
        shells.map((name) => ({ name: SCRIPTS[name].file, text: SCRIPTS[name].text })),
      );
    };
  },
});
