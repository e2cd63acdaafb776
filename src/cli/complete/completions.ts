import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import { defineCommand, optional, required } from "../command.ts";
import { SCRIPTS, SHELLS } from "./scripts.ts";
import { oneOf } from "../parse/word.ts";

/** Common shells for which there is no completion. */
const OTHER_SHELLS: readonly string[] = ["ash", "csh", "dash", "ksh", "nu", "nushell", "sh", "tcsh"];

/** Other names of shells. */
const ALSO_CALLED: Readonly<Record<string, (typeof SHELLS)[number]>> = { pwsh: "powershell" };

/**
 * Rejects the name of an unsupported shell, or a misspelt supported one, which is hardly meant as a directory. Throws
 * USAGE.
 */
function refuseShell(target: string): void {
  const near = didYouMean(target, SHELLS);
  if (near === null && !OTHER_SHELLS.includes(target)) return;
  throw new BpfmanError("USAGE", `no completion for shell "${target}"; there is one for ${SHELLS.join(", ")}`, {
    hint: `${near === null ? "" : `${near} `}to write to a directory of that name, type ./${target}`,
  });
}

export const completions = defineCommand({
  description: [
    "Prints or writes shell completions. They complete programs, links, interfaces,",
    "namespaces, tracepoints, kernel functions, and the contents of object files.",
    "",
    "In a running bash or zsh: source <(bpfman completions bash)",
    "In a running fish: bpfman completions fish | source",
    "In a running elvish: eval (bpfman completions elvish | slurp)",
    "In a running PowerShell: bpfman completions powershell | Out-String | iex",
  ],
  fields: {
    target: required({
      long: "target",
      doc: ["Shell to print the completion of, or directory to write all to."],
      choices: SHELLS,
      completes: "directory",
    }),
    shell: optional(
      {
        long: "shell",
        short: "s",
        choices: SHELLS,
        doc: ["Write only the completion of this shell.", "", "[possible values: bash, zsh, fish, elvish, powershell]"],
      },
      oneOf("shell", SHELLS),
    ),
  },
  classic: {
    words: ["target"],
    examples: {
      "Print the completion for bash": "bpfman completions bash",
      "Install the completion for every zsh": "bpfman completions -s zsh /usr/share/zsh/site-functions",
      "Write all completions, for packaging": "bpfman completions out/completions",
    },
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
