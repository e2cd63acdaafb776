/**
 * The completion scripts, and the command that prints them. They contain nothing about bpfman's commands: they call
 * `bpfman __complete` at each Tab, so they work with every version and complete what is currently loaded.
 */
import { didYouMean } from "../../errors/suggest.ts";
import { defineCommand, optional, required, usageError } from "../command.ts";
import { oneOf } from "../parse/word.ts";

const BASH = `# bash completion for bpfman. Source it, or save it as /usr/share/bash-completion/completions/bpfman.
_bpfman() {
  local line=\${COMP_LINE:0:COMP_POINT} first kind typed strip='' character candidate width=0
  local bpfman=\${1/#\\~/$HOME}
  local -a answer values=() descriptions=()
  # The name of an alias is not a program.
  type -P "$bpfman" >/dev/null || bpfman=bpfman
  mapfile -t answer < <("$bpfman" __complete line -- "$line" "\${COMP_LINE:COMP_POINT}" 2>/dev/null)
  COMPREPLY=()
  [ \${#answer[@]} -gt 0 ] || return 0
  first=\${answer[0]}
  kind=\${first%%$'\\t'*}
  case $kind in
    files*) compopt -o default; return 0 ;;
    directories*) compopt -o dirnames; return 0 ;;
    *open) compopt -o nospace ;;
  esac

  # In a word that contains = or :, readline replaces only what follows the last one.
  typed=\${line##*[[:space:]]}
  for character in = : @; do
    [[ $COMP_WORDBREAKS == *"$character"* && $typed == *"$character"* ]] || continue
    candidate=\${typed%"\${typed##*"$character"}"}
    [ \${#candidate} -gt \${#strip} ] && strip=$candidate
  done

  for candidate in "\${answer[@]:1}"; do
    values+=("\${candidate%%$'\\t'*}")
    descriptions+=("\${candidate#*$'\\t'}")
  done
  values=("\${values[@]#"$strip"}")
  # Show descriptions only when a list is shown and there is a choice.
  if [[ \${#values[@]} -gt 1 && \${COMP_TYPE:-9} =~ ^(33|63|64)$ ]]; then
    for candidate in "\${values[@]}"; do ((\${#candidate} > width)) && width=\${#candidate}; done
    for candidate in "\${!values[@]}"; do
      [ -n "\${descriptions[candidate]}" ] || continue
      printf -v 'values[candidate]' '%-*s  (%s)' "$width" "\${values[candidate]}" "\${descriptions[candidate]}"
    done
    compopt -o nosort 2>/dev/null
  fi
  COMPREPLY=("\${values[@]}")
}
complete -F _bpfman bpfman
`;

const ZSH = `#compdef bpfman
# zsh completion for bpfman. Save it as _bpfman in a directory of $fpath, or source it after compinit.
_bpfman() {
  local -a answer values shown end
  local line value description kind before bpfman=\${(Q)words[1]/#\\~/$HOME}
  # The name of an alias is not a program.
  whence -p -- "$bpfman" >/dev/null || bpfman=bpfman
  answer=("\${(@f)$("$bpfman" __complete words --at $((CURRENT - 1)) -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" "\${(@Q)words[CURRENT+1,-1]}" 2>/dev/null)}")
  (( \${#answer} )) || return 1
  kind=\${answer[1]%%$'\\t'*}
  before=\${answer[1]#*$'\\t'}
  case $kind in
    files*) [[ -n $before ]] && compset -P '*='; _files; return ;;
    directories*) [[ -n $before ]] && compset -P '*='; _files -/; return ;;
    *open) end=(-S '') ;;
  esac
  for line in "\${(@)answer[2,-1]}"; do
    value=\${line%%$'\\t'*}
    description=\${line#*$'\\t'}
    values+=("$value")
    shown+=("$value\${description:+  -- $description}")
  done
  (( \${#values} )) || return 1
  compadd -l -d shown "\${(@)end}" -- "\${(@)values}"
}
if [[ \${funcstack[1]} == _bpfman ]]; then
  _bpfman "$@"
else
  compdef _bpfman bpfman
fi
`;

const FISH = `# fish completion for bpfman. Save it as ~/.config/fish/completions/bpfman.fish.
function __bpfman_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l command (string replace -r '^~' -- $HOME $words[1])
    # All words, including those after the cursor; the one at the cursor counts only once it has begun.
    set -l all (commandline -op)
    set -l next (math (count $words) + 1)
    set -l token (commandline -t)
    test -n "$token"; and set next (math $next + 1)
    set -l answer ($command __complete words --at (count $words) -- $words[2..-1] "$current" $all[$next..-1] 2>/dev/null)
    test (count $answer) -gt 0; or return
    set -l first (string split \\t -- $answer[1])
    set -l rest (string sub -s (math (string length -- "$first[2]") + 1) -- "$current")
    switch $first[1]
        case 'files*'
            for path in (__fish_complete_path "$rest")
                printf '%s\\n' "$first[2]$path"
            end
        case 'directories*'
            for path in (__fish_complete_directories "$rest")
                printf '%s\\n' "$first[2]$path"
            end
        case '*'
            printf '%s\\n' $answer[2..-1]
    end
end
complete -c bpfman -f -a '(__bpfman_complete)'
`;

const ELVISH = `# elvish completion for bpfman. Put "eval (bpfman completions elvish | slurp)" into ~/.config/elvish/rc.elv.
use str
set edit:completion:arg-completer[bpfman] = {|@words|
  var answer = []
  try {
    set answer = [(e:bpfman __complete words -- (all $words[1..]) 2>/dev/null)]
  } catch { }
  if (> (count $answer) 0) {
    var kind before = (str:split "\t" $answer[0])
    # A blank follows what is finished.
    var suffix = ' '
    if (str:has-suffix $kind open) { set suffix = '' }
    if (or (str:has-prefix $kind files) (str:has-prefix $kind directories)) {
      var seed = (str:trim-prefix $words[-1] $before)
      edit:complete-filename $seed | each {|path|
        if (or (str:has-prefix $kind files) (str:has-suffix $path[stem] /)) {
          edit:complex-candidate $before$path[stem] &code-suffix=$path[code-suffix]
        }
      }
    } else {
      for line $answer[1..] {
        var value description = (str:split "\t" $line)
        var shown = $value
        if (not-eq $description '') { set shown = $value' ('$description')' }
        edit:complex-candidate $value &display=$shown &code-suffix=$suffix
      }
    }
  }
}
`;

const POWERSHELL = `# PowerShell completion for bpfman. Put "bpfman completions powershell | Out-String | Invoke-Expression" into $PROFILE.
Register-ArgumentCompleter -Native -CommandName bpfman -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $at = $cursorPosition - $commandAst.Extent.StartOffset
  # The blanks behind the last word are no part of the command.
  $line = $commandAst.Extent.Text.PadRight($at)
  $answer = @(bpfman __complete line -- $line.Substring(0, $at) $line.Substring($at) 2>$null)
  if ($answer.Count -eq 0) { return }
  $kind, $before = $answer[0].Split("\`t", 2)
  if ($kind -like 'files*' -or $kind -like 'directories*') {
    $typed = $wordToComplete.Substring([Math]::Min($before.Length, $wordToComplete.Length))
    foreach ($path in [System.Management.Automation.CompletionCompleters]::CompleteFilename($typed)) {
      if ($kind -like 'directories*' -and $path.ResultType -ne 'ProviderContainer') { continue }
      [System.Management.Automation.CompletionResult]::new(
        $before + $path.CompletionText, $path.ListItemText, $path.ResultType, $path.ToolTip)
    }
    return
  }
  foreach ($candidate in $answer | Select-Object -Skip 1) {
    $value, $description = $candidate.Split("\`t", 2)
    if (-not $description) { $description = $value }
    [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
  }
}
`;

/** Names are paths where the shell looks for its script, relative to its completion directory. */
const SCRIPTS = {
  bash: { name: "bpfman.bash", text: BASH },
  zsh: { name: "_bpfman", text: ZSH },
  fish: { name: "bpfman.fish", text: FISH },
  elvish: { name: "bpfman.elv", text: ELVISH },
  powershell: { name: "_bpfman.ps1", text: POWERSHELL },
};
const SHELLS = Object.keys(SCRIPTS) as readonly (keyof typeof SCRIPTS)[];

/** Common shells for which there is no completion. */
const OTHER_SHELLS: readonly string[] = ["ash", "csh", "dash", "ksh", "nu", "nushell", "sh", "tcsh"];

/**
 * Rejects the name of an unsupported shell, or a misspelt supported one, which is hardly meant as a directory. Throws
 * USAGE.
 */
function refuseShell(target: string): void {
  const near = didYouMean(target, SHELLS);
  if (near === null && !OTHER_SHELLS.includes(target)) return;
  throw usageError(
    `no completion for shell "${target}"; there is one for ${SHELLS.join(", ")}`,
    `${near === null ? "" : `${near} `}to write to a directory of that name, type ./${target}`,
  );
}

export const completions = defineCommand(() => ({
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
        doc: ["Write only the completion of this shell.", "", `[possible values: ${SHELLS.join(", ")}]`],
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
    const printed = SHELLS.find((name) => name === (target === "pwsh" ? "powershell" : target));
    if (shell === null && printed !== undefined) return async (session) => session.write(SCRIPTS[printed].text);
    if (shell === null) refuseShell(target);
    const shells = shell === null ? SHELLS : [shell];
    return async (session) =>
      session.save(
        target,
        shells.map((name) => SCRIPTS[name]),
      );
  },
}));
