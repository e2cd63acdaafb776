import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GENERATED, generatedFiles } from "../../../scripts/generate-grpc.ts";

test("src/grpc/generated is what the .proto files say (bun scripts/generate-grpc.ts)", () => {
  const files = generatedFiles();
  expect([...files.keys()].toSorted()).toEqual(readdirSync(GENERATED).toSorted());
  for (const [name, text] of files) expect(readFileSync(join(GENERATED, name), "utf8")).toBe(text);
}, 60_000);
