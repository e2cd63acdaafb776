/** The OpenRPC document has the shape that the specification requires, and agrees with the schemas and types. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import metaSchema from "@open-rpc/meta-schema";
import { openRpcDocument } from "../../../rpc/openrpc.ts";
import { ERROR_NUMBERS } from "../../../rpc/protocol.ts";
import { SESSION_SCHEMAS } from "../../../rpc/schemas.ts";
import { answerSchemas, SCHEMAS_FILE } from "../../../scripts/generate-schemas.ts";
import { OPERATIONS } from "../../../src/service/operations.ts";
import { misfits } from "../../expect/json-schema.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const document = await openRpcDocument("1.2.3");
/** As it comes out at the other end. */
const sent: typeof document = JSON.parse(JSON.stringify(document));

/** Every object in a document that has a `$ref`. */
function references(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = "$ref" in value ? [String(value.$ref)] : [];
  return [...own, ...Object.values(value).flatMap(references)];
}

const paramOf = (method: string, name: string) => {
  const param = sent.methods.find((each) => each.name === method)?.params.find((each) => each.name === name);
  if (param === undefined) throw new Error(`no param "${name}" of ${method}`);
  return param;
};
const fits = (method: string, name: string, value: unknown): boolean =>
  misfits(value, paramOf(method, name).schema, sent).length === 0;

test("rpc/answers.schema.json is what the types say (bun run docs)", async () => {
  const written = JSON.parse(readFileSync(resolve(ROOT, SCHEMAS_FILE), "utf8"));
  expect(await answerSchemas()).toEqual(written);
});

test("the document is one, by the schema of OpenRPC", () => {
  expect(misfits(sent, { ...metaSchema }, metaSchema)).toEqual([]);
  const { methods: _, ...without } = sent;
  expect(misfits(without, { ...metaSchema }, metaSchema)).toEqual(["(value): no methods"]);
});

test("the document has what we want of one", () => {
  expect(Object.keys(sent).sort()).toEqual(["components", "info", "methods", "openrpc", "x-notifications"]);
  expect(sent.openrpc).toMatch(/^1\.3\.\d+$/);
  expect(sent.info).toMatchObject({ title: "bpfman", version: "1.2.3", license: { name: "Apache-2.0" } });
  const method = ["name", "summary", "paramStructure", "params", "result", "errors"];
  for (const each of sent.methods) {
    expect(Object.keys(each).filter((key) => !method.includes(key))).toEqual([]);
    expect(each.summary).toMatch(/^[A-Z].*\.$/);
    const names = each.params.map((param) => param.name);
    expect(new Set(names).size).toBe(names.length);
    // Required params come before the others.
    const required = each.params.map((param) => param.required === true);
    expect(required).toEqual([...required].sort((a, b) => Number(b) - Number(a)));
    for (const descriptor of [...each.params, ...(each.result === undefined ? [] : [each.result])]) {
      expect(Object.keys(descriptor).filter((key) => !["name", "required", "schema"].includes(key))).toEqual([]);
      expect(typeof descriptor.schema).toBe("object");
    }
  }
});

test("each name occurs once, and each reference resolves", () => {
  const names = [...sent.methods, ...sent["x-notifications"]].map((each) => each.name);
  expect(new Set(names).size).toBe(names.length);
  const found = references(sent);
  expect(found.length).toBeGreaterThan(50);
  for (const pointer of new Set(found)) {
    const parts = pointer.replace(/^#\//, "").split("/");
    const target = parts.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], sent);
    expect({ pointer, found: target !== undefined }).toEqual({ pointer, found: true });
  }
});

test("every operation and every method of the session is there; only what has a result can be called", () => {
  const requests = sent.methods.filter((each) => each.result !== undefined).map((each) => each.name);
  expect(requests.sort()).toEqual([...Object.keys(SESSION_SCHEMAS), ...Object.keys(OPERATIONS)].sort());
  const notifications = sent.methods.filter((each) => each.result === undefined).map((each) => each.name);
  expect(notifications.sort()).toEqual(["$/cancelRequest", "$/setTrace", "exit", "initialized", "stream/allow"]);
});

test("params are those of the schemas that check requests, with defaults and limits", () => {
  expect(fits("program/load", "source", { file: "/a.o" })).toBe(true);
  expect(fits("program/load", "source", { file: "" })).toBe(false);
  expect(fits("program/load", "programs", [{ type: "xdp", name: "a" }])).toBe(true);
  expect(fits("program/load", "programs", [{ type: "xpd", name: "a" }])).toBe(false);
  expect(fits("program/load", "globalData", { A: "00ff", B: { base64: "AAA=" } })).toBe(true);
  expect(fits("program/load", "globalData", { A: "0x00" })).toBe(false);
  expect(paramOf("program/load", "metadata").schema).toMatchObject({ type: "object", maxProperties: 256, default: {} });
  expect(paramOf("program/unload", "ignoreMissing")).toMatchObject({ required: false, schema: { default: false } });
  const tcx = { kind: "tcx", iface: "eth0", priority: 50, direction: "ingress" };
  expect(fits("link/attach", "attach", tcx)).toBe(true);
  expect(fits("link/attach", "attach", { ...tcx, priority: -1 })).toBe(false);
  expect(fits("link/attach", "attach", { ...tcx, proceedOn: [] })).toBe(false);
  expect(fits("initialize", "protocolVersion", 2)).toBe(false);
  expect(paramOf("version", "workDoneToken").required).toBe(false);
});

test("errors have the numbers of the protocol", () => {
  for (const [kind, number] of Object.entries(ERROR_NUMBERS)) {
    expect(sent.components.errors[kind]).toMatchObject({
      code: number,
      data: { $ref: "#/components/schemas/ErrorData" },
    });
  }
});
