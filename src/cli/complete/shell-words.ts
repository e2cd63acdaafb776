/**
 * Splits the start of a command line into words like a shell: removes quotes and backslashes, but leaves variables and
 * substitutions as they are. The last word may be incomplete; it is empty if the line ends between words.
 */
export function splitShellWords(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote: '"' | "'" | null = null;
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string;
    const next = line[at + 1];
    if (quote !== null && character === quote) quote = null;
    else if (quote === "'") word += character;
    else if (character === "\\" && next !== undefined && (quote === null || '"\\$`'.includes(next))) {
      word += next;
      at++;
    } else if (quote === '"') word += character;
    else if (character === '"' || character === "'") quote = character;
    else if (/\s/.test(character)) {
      if (word !== "" || (at > 0 && !/\s/.test(line[at - 1] as string))) words.push(word);
      word = "";
    } else word += character;
  }
  return [...words, word];
}
