/**
 * The completion scripts. They contain nothing about bpfman's commands: they call `bpfman __complete` at each Tab, so
 * they work with every version and complete what is currently loaded.
 */

export const SHELLS = ["bash", "zsh", "fish", "elvish", "powershell"] as const;
export type Shell = (typeof SHELLS)[number];

interface Script {
  /** Path where the shell looks for it, relative to its completion directory. */
  readonly file: string;
  readonly text: string;
}

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

export const SCRIPTS: Readonly<Record<Shell, Script>> = {
  bash: { file: "bpfman.bash", text: BASH },
  zsh: { file: "_bpfman", text: ZSH },
  fish: { file: "bpfman.fish", text: FISH },
  elvish: { file: "bpfman.elv", text: ELVISH },
  powershell: { file: "_bpfman.ps1", text: POWERSHELL },
};
