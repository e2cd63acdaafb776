/** Checks rpc/PROTOCOL.md against the schemas. test/e2e/rpc-protocol.test.ts sends its requests to the executable. */
import { expect, test } from "bun:test";
import { openRpcDocument } from "../../../rpc/openrpc.ts";
import { ERROR_NUMBERS, INVALID_PARAMS, NOT_INITIALIZED } from "../../../rpc/protocol.ts";
import { ATTACH_KINDS } from "../../../src/domain/kinds.ts";
import { misfits } from "../../expect/json-schema.ts";
import { type Frame, readProtocolPage } from "../../documents/protocol-page.ts";

const page = readProtocolPage();
const document = await openRpcDocument("0.0.0");
const requests = document.methods.filter((method) => method.result !== undefined);
const notifications = document.methods.filter((method) => method.result === undefined);
const root = JSON.parse(JSON.stringify(document));

/** What is wrong with the params of a frame. */
function paramMisfits(frame: Frame, { params }: (typeof document.methods)[number]): string[] {
  const properties = Object.fromEntries(params.map(({ name, schema }) => [name, schema]));
  const required = params.filter((param) => param.required).map((param) => param.name);
  return misfits(frame.params, { type: "object", properties, required }, root);
}

test.each(requests.map((method) => [method.name, method] as const))("%s: request and answer", (name, method) => {
  const { request, response } = page.exchange(name);
  expect(request.method).toBe(name);
  expect(paramMisfits(request, method)).toEqual([]);
  // The document itself is cut short on the page.
  if (name !== "rpc.discover") expect(misfits(response.result, method.result?.schema ?? {}, root)).toEqual([]);
});

test.each(notifications.map((method) => [method.name, method] as const))(
  "%s: notification to the server",
  (name, method) => {
    expect(paramMisfits(page.notification(name), method)).toEqual([]);
  },
);

test.each(document["x-notifications"].map((each) => [each.name, each.schema] as const))(
  "%s: notification to the client",
  (name, schema) => {
    expect(misfits(page.notification(name).params, schema, root)).toEqual([]);
  },
);

test("the example of an error has the data of errors", () => {
  const { request, response } = page.exchange("Errors");
  expect(request.method).toBe("program/get");
  expect(response.error?.code).toBe(ERROR_NUMBERS["not-found"]);
  expect(misfits(response.error?.data, { $ref: "#/components/schemas/ErrorData" }, root)).toEqual([]);
});

test("frames stand under their method only, with ids of their own", () => {
  const frames = [...page.sections.values()].flat();
  const ids = frames.flatMap((frame) => (frame.method !== undefined && frame.id !== undefined ? [frame.id] : []));
  expect(new Set(ids).size).toBe(ids.length);
  const wanted = requests.length * 2 + notifications.length + document["x-notifications"].length + 2;
  expect(frames.length).toBe(wanted);
});

test("the page lists every number of an error and every attach kind", () => {
  for (const [kind, number] of Object.entries(ERROR_NUMBERS)) expect(page.text).toContain(`| ${number} | \`${kind}\``);
  for (const number of [INVALID_PARAMS, NOT_INITIALIZED]) expect(page.text).toContain(String(number));
  const table = page.text.slice(page.text.indexOf("### link/attach"), page.text.indexOf("### link/list"));
  for (const kind of ATTACH_KINDS) expect(table).toContain(`\`${kind}\``);
});

test("the example of a frame has the right length", () => {
  const [, length, body = ""] = /^Content-Length: (\d+)\\r\\n\n\\r\\n\n(.*)$/m.exec(page.text) ?? [];
  expect(Number(length)).toBe(Buffer.byteLength(body));
});
