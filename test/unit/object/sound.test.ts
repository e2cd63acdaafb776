import { expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { unsoundObjects } from "../../objects/unsound.ts";

test.each(unsoundObjects().map(({ what, ...its }) => [what, its] as const))("%s", (_, { bytes, reason }) => {
  let refusal: unknown = null;
  try {
    readObject(bytes);
  } catch (thrown) {
    refusal = thrown;
  }
  expect(refusal).toBeInstanceOf(BpfmanError);
  expect(refusal).toMatchObject({ code: "INVALID_OBJECT", message: expect.stringContaining(reason) });
});
