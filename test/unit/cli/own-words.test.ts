/**
 * Help is in our own words. The command line is that of bpfman in Rust, whose help texts are not ours: no sentence of them
 * stands here as it stands there. They are known by their hashes alone.
 */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type Field, isGroup, type Node, wordsOf } from "../../../src/cli/command.ts";
import { ROOT } from "../../../src/cli/commands.ts";
import { GLOBALS } from "../../../src/cli/globals.ts";

/** Begins of lines that are no sentences: what is written there is fixed by the grammar. */
const TECHNICAL = /^(Example|Format|\[|\s|$)/;

/**
 * The sentences of a text, as they are compared: without the word that says whether a value is needed, in lower case,
 * without a full stop.
 */
function sentencesOf(text: readonly string[]): string[] {
  const paragraphs = [""];
  for (const line of text) {
    if (TECHNICAL.test(line)) paragraphs.push("");
    else paragraphs.push(`${paragraphs.pop()} ${line}`);
  }
  return paragraphs
    .flatMap((paragraph) => paragraph.split(/(?<=[.:])\s+/))
    .map((sentence) => sentence.trim().toLowerCase().replace(/[.:]$/, ""))
    .filter((sentence) => /\w \w/.test(sentence) && !sentence.endsWith("]"));
}

const hashOf = (sentence: string): string => createHash("sha256").update(sentence).digest("hex").slice(0, 12);

const THEIRS = new Set(
  `03e35694f89a 0411333be933 06521eecf44f 0ba1c33b4da9 0bf365658e22 0e3d93faf2e6 13e2c2beaa9f 1e4ca38816ee
   24c3ed00371d 29c713d92c3d 2f34a76b0a46 3146e775bc4b 326504a06655 32a564c39a87 3339aaa3cf62 33e8091200ee
   37b54c503e36 39f7845477c7 438914aa4be9 43f6827732af 4707b8718ec3 47179991e83e 4928c54b41c2 4998e824956a
   4c0918007701 4ccffcd15461 51a5a835b806 55fa7a72665b 576e67371cf7 5cc8ad23319e 60e9ca629b2f 634758746507
   652adca24fff 65c11427af16 6a742e304050 6dda4d827628 72ce12e14f6e 767f0a398dbc 7758b7b11843 789e6f42cf07
   7a0f25361996 7c88f1a504b4 7d227763af4c 7fec2a2cf413 81e72e3818ba 844b5333ae5f 8492a8618e56 8848b8f9c9c3
   8a09b060eae8 8a1b00d0b540 8c30af538aa6 8f3a9b5d19d8 8ff140b40d0e 91863d70945d 91a123f2f087 980e2e61b721
   98d2d6ea28d1 9cc9b3370839 9f3e0953e506 a1ba554d41a8 a4b10ba2866d a5f85278466d a60da7c9791e a649aab3110c
   ae6878e8deaa aea5eb58ddcd af37d24d71f7 b058f126fe90 b09ed8b66c4f b1c02af5fc72 b1fe032246f4 b21b1da9983d
   b21e0d30ad50 b23765f1fdc6 b41d46bf333e b8954175891f b910b5e306a9 bafe786537cd bd107d3418b5 bdf37e0eb1ab
   bf6b815b6077 c21cccda5543 c593cb4e0729 c7228afc6cb2 c83a2d907f35 c927636c1e4c cc48e2dc9580 cd029a36da81
   d004b00d6dc4 d046f733d454 d3c07830464f d572b5b26a5e d6cec8c25f46 d823973f9524 da2239578ac9 dd6c04365274
   dd9e489121f5 df7131b216a7 e0649570b78c e44060fff59e e6208879235b ea7eea7b85e0 eeccf4db9d18 f138e0cd4d4c
   f3ce0038ad6c f4d50051bbed f5bdce831351 f60e7ca845bf f648da4860f4 f64dfc6ae274 fac67be5cc4e fd7bdabc94fa
   ff1f3bca4b94`.split(/\s+/),
);

async function* textsBelow(nodes: readonly Node[]): AsyncGenerator<readonly string[]> {
  const last = nodes.at(-1) as Node;
  yield [last.summary];
  if (isGroup(last)) {
    for (const child of last.children) yield* textsBelow([...nodes, child]);
    return;
  }
  const command = await last.load();
  yield command.description ?? [];
  const fields: readonly Field[] = [...wordsOf(nodes, command), ...command.flags];
  for (const { doc } of fields) yield doc;
}

test("no sentence of help stands in that of bpfman in Rust", async () => {
  const texts = [...(await Array.fromAsync(textsBelow([ROOT]))), ...Object.values(GLOBALS).map(({ doc }) => doc)];
  const sentences = new Set(texts.flatMap(sentencesOf));
  expect(sentences.size).toBeGreaterThan(150);
  expect([...sentences].filter((sentence) => THEIRS.has(hashOf(sentence)))).toEqual([]);
});
