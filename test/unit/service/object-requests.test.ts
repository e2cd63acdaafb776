/** Objects that come in a request instead of the path of a file. */
import { expect, test } from "bun:test";
import { parseRequest } from "../../../src/service/invoke.ts";
import { checkRequest, inspectObjectRequest } from "../../../src/service/requests/object-requests.ts";
import { loadRequest } from "../../../src/service/requests/load-request.ts";

const object = { name: "/src/count.bpf.c", base64: "f0VMRg==" };
const programs = [{ name: "all" }];

test("are taken beside files, in any of the three requests", async () => {
  expect((await parseRequest(checkRequest, { files: ["/a.o", object] })).files).toEqual(["/a.o", object]);
  expect(await parseRequest(inspectObjectRequest, { object })).toEqual({ object });
  expect((await parseRequest(loadRequest, { source: { object }, programs })).source).toEqual({ object });
});

test("as large as a frame allows", async () => {
  const large = { name: "large", base64: Buffer.alloc(11 * 1024 * 1024, 7).toString("base64") };
  expect(await parseRequest(inspectObjectRequest, { object: large })).toEqual({ object: large });
});

test("one at a time, and only as base64", async () => {
  const problem = async (parsing: Promise<unknown>): Promise<string> => {
    const problem = await parsing.then(
      () => null,
      ({ message }: Error) => message,
    );
    return problem ?? "none";
  };
  const inspected = (request: unknown) => problem(parseRequest(inspectObjectRequest, request));
  const given = { object, file: "/a.o" };
  expect(await inspected(given)).toContain("one of file, image and object is needed");
  expect(await inspected({})).toContain("one of file, image and object is needed");
  expect(await inspected({ object: { ...object, base64: "f0VM*" } })).toContain("must be base64");
  expect(await inspected({ object: { ...object, bytes: 1 } })).toContain('unknown field "object.bytes"');
  expect(await problem(parseRequest(loadRequest, { source: given, programs }))).toContain("one of file, image and obj");
  expect(await problem(parseRequest(checkRequest, { files: [{ name: "x" }] }))).toContain(
    "a path, or the name and base64 of an object",
  );
});
