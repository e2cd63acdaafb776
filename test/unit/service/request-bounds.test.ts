/** Fields of requests are taken up to their bounds, and no further. */
import { expect, test } from "bun:test";
import type { GenericSchema } from "valibot";
import {
  ALTERNATIVE_NAME_CHARS_MAX,
  IDENTITY_CHARS_MAX,
  IMAGE_REFERENCE_CHARS_MAX,
  MAP_ENTRIES_MAX,
  METADATA_CHARS_MAX,
  METADATA_PAIRS_MAX,
  NAME_CHARS_MAX,
  OPERATIONS_MAX,
  PROGRAMS_PER_LOAD_MAX,
  REGISTRY_FIELD_CHARS_MAX,
  RESTORE_WAIT_MS_MAX,
  SELECTOR_CHARS_MAX,
  TRUSTED_SIGNERS_MAX,
} from "../../../src/domain/limits.ts";
import { parseRequest } from "../../../src/service/parse-request.ts";
import { attachRequest } from "../../../src/service/requests/attach-request.ts";
import { buildImageRequest } from "../../../src/service/requests/build-requests.ts";
import { historyRequest } from "../../../src/service/requests/history-request.ts";
import { inspectImageRequest, verifyImageRequest } from "../../../src/service/requests/image-requests.ts";
import { loadRequest } from "../../../src/service/requests/load-request.ts";
import { listProgramsRequest } from "../../../src/service/requests/program-requests.ts";
import { restoreRequest } from "../../../src/service/requests/restore-request.ts";
import { failureOf } from "../../expect/failure.ts";

const text = (length: number) => "x".repeat(length);
const load = (more: object) => ({ source: { file: "/x" }, programs: [{ type: "tcx", name: "count" }], ...more });
const program = (name: string) => ({ type: "tcx", name });
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
const attach = (iface: string) => ({ programId: 1, attach: { kind: "tcx", iface, direction: "ingress", priority: 1 } });
const identity = (exact: string) => ({ identity: { exact }, issuer: { exact: "x" } });

const BOUNDS: readonly (readonly [what: string, max: number, schema: GenericSchema, of: (size: number) => unknown])[] =
  [
    ["programs", PROGRAMS_PER_LOAD_MAX, loadRequest, (n) => load({ programs: Array(n).fill(program("x")) })],
    ["a name", NAME_CHARS_MAX, loadRequest, (n) => load({ programs: [program(text(n))] })],
    ["pairs of metadata", METADATA_PAIRS_MAX, loadRequest, (n) => load({ metadata: pairs(n) })],
    ["a metadata value", METADATA_CHARS_MAX, loadRequest, (n) => load({ metadata: { k: text(n) } })],
    ["a metadata key", METADATA_CHARS_MAX, loadRequest, (n) => load({ metadata: { [text(n)]: "v" } })],
    ["entries of a map", MAP_ENTRIES_MAX, loadRequest, (n) => load({ mapEntries: { m: n } })],
    ["an interface", ALTERNATIVE_NAME_CHARS_MAX, attachRequest(), (n) => attach(text(n))],
    ["a selector", SELECTOR_CHARS_MAX, listProgramsRequest(), (n) => ({ selector: text(n) })],
    ["entries of the history", OPERATIONS_MAX, historyRequest, (n) => ({ limit: n })],
    ["a wait", RESTORE_WAIT_MS_MAX, restoreRequest, (n) => ({ waitMs: n })],
    ["an image", REGISTRY_FIELD_CHARS_MAX, inspectImageRequest, (n) => ({ url: text(n) })],
    ["credentials", REGISTRY_FIELD_CHARS_MAX, inspectImageRequest, (n) => ({ url: "x", registryAuth: text(n) })],
    [
      "an identity",
      IDENTITY_CHARS_MAX,
      verifyImageRequest,
      (n) => ({ url: "x", trustedIdentities: [identity(text(n))] }),
    ],
    ["keys", TRUSTED_SIGNERS_MAX, verifyImageRequest, (n) => ({ url: "x", trustedKeys: Array(n).fill("/k") })],
    ["a tag", IMAGE_REFERENCE_CHARS_MAX, buildImageRequest, (n) => ({ tag: text(n), bytecode: { file: "/x.o" } })],
  ];

test.each(BOUNDS)("%s: up to %d", (_what, max, schema, of) => {
  const { code, message } = failureOf(() => parseRequest(schema, of(max + 1)));
  expect({ code, message }).toEqual({ code: "INVALID_REQUEST", message: expect.stringContaining("invalid value for") });
  parseRequest(schema, of(max));
});
