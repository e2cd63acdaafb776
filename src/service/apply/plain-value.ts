/** The plain value of a document, as JSON would have it. Each node is looked at once, so its time grows with its length only. */
import { isAlias, isMap, isScalar, isSeq, type Node, type Scalar } from "yaml";
import { DOCUMENT_ALIASES_MAX } from "../../domain/limits.ts";
import { documentError, type Place } from "./place.ts";

export interface PlainValue {
  readonly value: unknown;
  /** What aliases stand for. */
  readonly aliases: ReadonlyMap<unknown, Node>;
}

interface Anchored {
  readonly node: Node;
  value: unknown;
  /** How many nodes it has, counting those that its aliases repeat; null while it is read. */
  parts: number | null;
}

/** A name as it is written: `1.10` is not `1.1`. */
export const nameIn = (key: Scalar): string => key.source ?? String(key.value);

/**
 * Returns the value of a node and all below it, which must not be nested deeper than calls can be. Whole numbers that a double
 * cannot hold stay text, which is how requests have them. Throws INVALID_DOCUMENT for a name that is there twice, for aliases
 * of nothing, and for those that repeat too much.
 */
export function plainValue(root: Node, placeAt: (offset: number) => Place): PlainValue {
  const anchors = new Map<string, Anchored>();
  const aliases = new Map<unknown, Node>();
  let parts = 0;
  let repeated = 0;
  const wrong = (node: unknown, reason: string, hint?: string) =>
    documentError(placeAt((node as Node).range?.[0] ?? 0), reason, hint);

  const nameOf = (key: unknown): string => {
    read(key);
    const node = aliases.get(key) ?? key;
    if (!isScalar(node)) throw wrong(key, "a name must be text");
    return nameIn(node);
  };
  const contentsOf = (node: unknown): unknown => {
    if (isSeq(node)) return node.items.map(read);
    if (isMap(node)) {
      const fields = new Map<string, unknown>();
      for (const { key, value } of node.items) {
        const name = nameOf(key);
        if (fields.has(name)) throw wrong(key, "this name is there twice");
        fields.set(name, read(value));
      }
      return Object.fromEntries(fields);
    }
    if (!isScalar(node)) return null;
    const isLarge = typeof node.value === "number" && Number.isInteger(node.value) && !Number.isSafeInteger(node.value);
    return isLarge ? (node.source ?? node.value) : node.value;
  };
  const read = (node: unknown): unknown => {
    const before = parts++;
    if (isAlias(node)) {
      const found = anchors.get(node.source);
      if (found === undefined) throw wrong(node, "this alias stands for nothing before it");
      if (found.parts === null) throw wrong(node, "this alias stands for what it is part of");
      repeated += found.parts;
      if (repeated > DOCUMENT_ALIASES_MAX) {
        throw wrong(node, `its aliases repeat more than ${DOCUMENT_ALIASES_MAX} parts`, "write them out");
      }
      parts += found.parts;
      aliases.set(node, found.node);
      return found.value;
    }
    const { anchor } = (node ?? {}) as { readonly anchor?: string };
    if (anchor === undefined) return contentsOf(node);
    const anchored: Anchored = { node: node as Node, value: null, parts: null };
    anchors.set(anchor, anchored);
    anchored.value = contentsOf(node);
    anchored.parts = parts - before;
    return anchored.value;
  };
  return { value: read(root), aliases };
}
