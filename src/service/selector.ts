/** Metadata selectors in Kubernetes syntax: `key=value`, `key in (a,b)`, `key`, `!key`, `key>1`. */
import { SELECTOR_TERMS_MAX } from "../domain/limits.ts";
import type { Metadata } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";

type Matches = (metadata: Metadata) => boolean;

const KEY = "[A-Za-z0-9](?:[-A-Za-z0-9_./:]*[A-Za-z0-9])?";
/** Like label values, which may be empty. Other characters are rejected rather than guessed at. */
const VALUE = "[-A-Za-z0-9_./:@+]*";
const SET = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUALITY = new RegExp(String.raw`^(${KEY})\s*(==|=|!=)\s*(${VALUE})$`);
const COMPARISON = new RegExp(String.raw`^(${KEY})\s*([<>])\s*(-?\d{1,15})$`);
const PRESENCE = new RegExp(`^(!?)\\s*(${KEY})$`);
const WHOLE_VALUE = new RegExp(`^${VALUE}$`);

/** Splits at commas outside parentheses. */
const termsOf = (text: string): string[] => text.split(/,(?![^(]*\))/).map((term) => term.trim());

const metadataValue = (metadata: Metadata, key: string): string | null =>
  Object.hasOwn(metadata, key) ? (metadata[key] as string) : null;

/**
 * `!=` and `notin` also match if the key is missing; `>` and `<` match integers only. Returns null for a syntax error.
 */
function parseTerm(term: string): Matches | null {
  const [, key = "", operator, wanted] = EQUALITY.exec(term) ?? [];
  if (operator === "!=") return (metadata) => metadataValue(metadata, key) !== wanted;
  if (operator !== undefined) return (metadata) => metadataValue(metadata, key) === wanted;

  const [, setKey = "", word, list = ""] = SET.exec(term) ?? [];
  if (word !== undefined) {
    const values = list.split(",").map((value) => value.trim());
    if (!values.every((value) => WHOLE_VALUE.test(value))) return null;
    const isIn = (metadata: Metadata): boolean => values.includes(metadataValue(metadata, setKey) ?? "\0");
    return word === "in" ? isIn : (metadata) => !isIn(metadata);
  }

  const [, numberKey = "", sign, bound] = COMPARISON.exec(term) ?? [];
  if (sign !== undefined) {
    return (metadata) => {
      const value = metadataValue(metadata, numberKey);
      if (value === null || !/^-?\d{1,15}$/.test(value)) return false;
      return sign === ">" ? Number(value) > Number(bound) : Number(value) < Number(bound);
    };
  }

  const [, not, present] = PRESENCE.exec(term) ?? [];
  if (present === undefined) return null;
  return (metadata) => (metadataValue(metadata, present) !== null) !== (not === "!");
}

/** Parses a selector; null or blank matches everything. Throws INVALID_SELECTOR. */
export function parseSelector(text: string | null): Matches {
  if (text === null || text.trim() === "") return () => true;
  const terms = termsOf(text);
  if (terms.length > SELECTOR_TERMS_MAX) {
    throw new BpfmanError("INVALID_SELECTOR", `a selector has at most ${SELECTOR_TERMS_MAX} terms`);
  }
  const parsed = terms.map((term) => {
    const matches = parseTerm(term);
    if (matches !== null) return matches;
    throw new BpfmanError("INVALID_SELECTOR", `invalid selector "${text}": "${term}" is not understood`, {
      details: { selector: text, term },
      hint: "terms are key=value, key!=value, key in (a,b), key notin (a,b), key, !key, key>1, separated by commas",
    });
  });
  return (metadata) => parsed.every((matches) => matches(metadata));
}
