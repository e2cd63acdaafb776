import { describe, expect, test } from "bun:test";
import { formatReference, manifestKey, parseReference, repositoryName } from "../../../src/image/reference.ts";
import { failureOf } from "../../expect/failure.ts";

const HEX = "0123456789abcdef".repeat(4);
const DIGEST = `sha256:${HEX}`;

describe("names", () => {
  /** The text, and what it stands for: registry and path, then the tag or digest that is asked for. */
  const cases: [text: string, repository: string, key: string][] = [
    ["debian", "docker.io/library/debian", "latest"],
    ["debian:12", "docker.io/library/debian", "12"],
    ["me/counter", "docker.io/me/counter", "latest"],
    ["a/b/c:d", "docker.io/a/b/c", "d"],
    ["docker.io/debian", "docker.io/library/debian", "latest"],
    ["index.docker.io/debian", "docker.io/library/debian", "latest"],
    ["quay.io/a/b", "quay.io/a/b", "latest"],
    ["quay.io/a/b:V1.0_x", "quay.io/a/b", "V1.0_x"],
    ["Quay.IO/a/b", "quay.io/a/b", "latest"],
    ["localhost/a", "localhost/a", "latest"],
    ["localhost:5000/a", "localhost:5000/a", "latest"],
    ["host:5000/a:b", "host:5000/a", "b"],
    ["127.0.0.1:5000/a", "127.0.0.1:5000/a", "latest"],
    ["[::1]:5000/a", "[::1]:5000/a", "latest"],
    ["a.b/c__d/e-f.g", "a.b/c__d/e-f.g", "latest"],
    [`a@${DIGEST}`, "docker.io/library/a", DIGEST],
    [`h.io:1/a:t@${DIGEST}`, "h.io:1/a", DIGEST],
  ];
  test.each(cases)("%s", (text, repository, key) => {
    const reference = parseReference(text);
    expect(repositoryName(reference)).toBe(repository);
    expect(manifestKey(reference)).toBe(key);
    expect(parseReference(formatReference(reference))).toEqual(reference);
  });

  test("a full name has no implied parts", () => {
    expect(formatReference(parseReference("debian"))).toBe("docker.io/library/debian:latest");
    expect(formatReference(parseReference(`h.io/a:t@${DIGEST}`))).toBe(`h.io/a:t@${DIGEST}`);
    expect(formatReference(parseReference(`h.io/a@${DIGEST}`))).toBe(`h.io/a@${DIGEST}`);
  });
});

describe("invalid names", () => {
  const cases: [text: string, reason: string][] = [
    ["", "it names no image"],
    ["docker.io/", "it names no image"],
    ["host:5000/", "it names no image"],
    ["Debian", "is not an image name"],
    ["quay.io/A/b", "is not an image name"],
    ["a//b", "is not an image name"],
    ["/a", "is not an image name"],
    ["a/", "is not an image name"],
    ["../a", "is not a registry"],
    ["a/../b", "is not an image name"],
    ["a b", "is not an image name"],
    ["a:", "is not a tag"],
    ["a:-x", "is not a tag"],
    [`a:${"x".repeat(129)}`, "is not a tag"],
    ["host:99999/a", "has no valid port"],
    ["ho_st.io/a", "is not a registry"],
    ["-h.io/a", "is not a registry"],
    ["a@sha256:12", "is not a digest"],
    [`a@sha256:${HEX.toUpperCase()}`, "is not a digest"],
    [`a@sha512:${HEX}${HEX}`, "is not a digest"],
    [`a@${DIGEST}@${DIGEST}`, 'more than one "@"'],
    ["https://quay.io/a", 'begins with "https://"'],
    ["docker://quay.io/a", 'begins with "docker://"'],
    [`a/${"b".repeat(300)}`, "more than 255"],
    ["a\nb", "is not an image name"],
    ["h.io/a?x=1", "is not an image name"],
    ["h.io/a#x", "is not an image name"],
    ["h.io/%2e%2e/a", "is not an image name"],
  ];
  test.each(cases)("%j", (text, reason) => {
    const error = failureOf(() => parseReference(text));
    expect(error.code).toBe("INVALID_REFERENCE");
    expect(error.message).toContain(reason);
  });

  test("says what to write instead", () => {
    expect(failureOf(() => parseReference("https://quay.io/a")).hint).toBe("write it without: quay.io/a");
    expect(failureOf(() => parseReference("quay.io/A")).hint).toContain("lower-case");
  });

  test.each(["user:secret@quay.io/a", "https://user:secret@quay.io/a", "user:sec/ret@quay.io/a:b"])(
    "a password in it is not repeated: %s",
    (text) => {
      const error = failureOf(() => parseReference(text));
      expect(error.code).toBe("INVALID_REFERENCE");
      expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain("sec");
    },
  );
});
