/** Runs every command block of the documents. In this ring, so that other kernels run the blocks that this one cannot. */
import { describe, test } from "bun:test";
import { blocksOf, DOCUMENTS, isRun, needsOf } from "../documents/document.ts";
import { documentNetwork } from "../documents/document-network.ts";
import { expectTrue, runDocument } from "../documents/document-run.ts";
import { BRIEF } from "../labs/brief.ts";
import { noExtensions } from "../labs/extension-test.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";

const DOCUMENT_LIMIT_MS = 300_000;
/**
 * Blocks that need registries and Sigstore: test/images/documents.test.ts. Nothing is built in a virtual machine: it
 * would take long, and show the same.
 */
const has = {
  ext: noExtensions === null,
  tcx: tcxAvailable,
  build: process.env.BPFMAN_TEST_KERNEL === undefined,
  internet: false,
};

const needs = (path: string): string[][] =>
  blocksOf(path)
    .filter(isRun)
    .map((block) => [...needsOf(block)]);
/** Where time is short, those of which this machine's kernel may lack something. */
const documents = DOCUMENTS.filter((path) =>
  needs(path).some((each) => (BRIEF ? each.includes("ext") : !each.includes("internet"))),
);
/** What a document asks of the kernel that it does not have. */
const missing = (path: string): string[] => [
  ...new Set(needs(path).flatMap((each) => each.filter((need) => !has[need as keyof typeof has]))),
];

const netns = documentNetwork();

describe("documents", () => {
  test.each(
    documents.map((path) => [
      `${path}${missing(path).length > 0 ? ` (but for blocks that need ${missing(path)})` : ""}`,
      path,
    ]),
  )(
    "%s",
    async (_, path = "") => expectTrue(path, await runDocument(path, { has, netns: netns() }), has),
    DOCUMENT_LIMIT_MS,
  );
});
