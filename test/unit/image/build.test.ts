import { describe, expect, test } from "bun:test";
import { openImageBuild } from "../../../src/image/open-image-build.ts";
import { failureOf, failureOfAsync } from "../../expect/failure.ts";

const { publisher } = openImageBuild({ caFile: null, env: { SOURCE_DATE_EPOCH: "soon" } });

describe("where an image goes", () => {
  test.each([
    ["example.com:5000/a/b:v1", "example.com:5000/a/b", "example.com:5000/a/b:v1"],
    ["acme/counter", "docker.io/acme/counter", "docker.io/acme/counter:latest"],
    ["counter:v2", "docker.io/library/counter", "docker.io/library/counter:v2"],
  ])("%s", (tag, repository, reference) => expect(publisher.target(tag)).toEqual({ repository, reference }));

  test.each(["Counter", "https://example.com/a", `example.com/a@sha256:${"0".repeat(64)}`, "example.com/a:v 1"])(
    "%s is rejected",
    (tag) => expect(failureOf(() => publisher.target(tag)).code).toBe("INVALID_REFERENCE"),
  );
});

test("a wrong SOURCE_DATE_EPOCH is said before anything is sent", async () => {
  const work = { signal: new AbortController().signal, progress: () => {}, relay: () => {} };
  const error = await failureOfAsync(() => publisher.publish("127.0.0.1:1/a:v1", [], work));
  expect(error).toMatchObject({ code: "INVALID_BUILD", message: expect.stringContaining('"soon"') });
});
