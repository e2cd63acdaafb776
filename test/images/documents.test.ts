/** Runs documents that use registries and Sigstore, with stand-ins for them in a private network namespace. */
import { expect, test } from "bun:test";
import { blocksOf, DOCUMENTS, needsOf } from "../documents/document.ts";
import { documentNetwork } from "../documents/document-network.ts";
import { expectTrue, runDocument } from "../documents/document-run.ts";
import { startPublicServices } from "../servers/public-services.ts";

/** Fetching cosign, where it is not in the cache yet. */
const LIMIT_MS = 10 * 60_000;

const documents = DOCUMENTS.filter((path) => blocksOf(path).some((block) => needsOf(block).includes("internet")));
const netns = documentNetwork();

test("there are some", () => expect(documents).toContain("docs/images.md"));

test.each(documents)(
  "%s",
  async (path) => {
    const services = await startPublicServices(netns());
    try {
      const has = { internet: true };
      expectTrue(path, await runDocument(path, { has, netns: netns(), services }), has);
    } finally {
      await services.close();
    }
  },
  LIMIT_MS,
);
