/** JSON with integers of any size. JSON.parse alone turns 2^53 + 1 into 2^53. */

type Reviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown;
/** ECMAScript 2025, which the type checker does not know yet. */
const EXACT = JSON as unknown as { parse(text: string, reviver: Reviver): unknown; rawJSON(text: string): unknown };

const reviving =
  (large: (digits: string) => unknown): Reviver =>
  (_name, value, { source = "" }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? large(source) : value;

/** Parses JSON; integers that a double does not hold exactly become bigints. Throws SyntaxError. */
export const parseExactJson = (text: string): unknown => EXACT.parse(text, reviving(BigInt));

/** Parses JSON so that JSON.stringify writes all its digits again. Throws SyntaxError. */
export const parseForWriting = (text: string): unknown =>
  EXACT.parse(
    text,
    reviving((digits) => EXACT.rawJSON(digits)),
  );
