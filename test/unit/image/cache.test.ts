import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lchownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { openCache } from "../../../src/image/cache.ts";
import { digestOf } from "../../../src/image/repository.ts";
import { failureOf } from "../../expect/failure.ts";
import { bytesOf } from "../../objects/image.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const open = () => openCache(directory.path("cache"), () => true);
const CONTENT = bytesOf("content");
const DIGEST = digestOf(CONTENT);
const blobPath = () => directory.path(`cache/blobs/${DIGEST.replace(":", "/")}`);

test("nothing is made before something is saved", () => {
  expect(open().blob(DIGEST)).toBeNull();
  expect(open().resolved("h.io/a:1")).toBeNull();
  expect(existsSync(directory.path("cache"))).toBe(false);
});

test("what is saved is there, for its owner alone", () => {
  open().saveBlob(DIGEST, CONTENT);
  open().saveResolved("h.io/a:1", { digest: DIGEST, rules: "r" });
  expect(new TextDecoder().decode(open().blob(DIGEST) ?? undefined)).toBe("content");
  expect(open().resolved("h.io/a:1")).toEqual({ digest: DIGEST, rules: "r" });
  expect(open().resolved("h.io/a:2")).toBeNull();
  expect(statSync(directory.path("cache")).mode & 0o777).toBe(0o700);
  expect(statSync(blobPath()).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory.path("cache/new"))).toEqual([]);
});

describe("damage", () => {
  const damages: [what: string, damage: (path: string) => void][] = [
    ["changed", (path) => writeFileSync(path, "c0ntent")],
    ["cut off", (path) => writeFileSync(path, "con")],
    ["empty", (path) => writeFileSync(path, "")],
    ["huge", (path) => void Bun.spawnSync(["truncate", "-s", "10G", path])],
  ];
  test.each(damages)("a blob that was %s is missing, and can be saved again", (_what, damage) => {
    open().saveBlob(DIGEST, CONTENT);
    damage(blobPath());
    expect(open().blob(DIGEST)).toBeNull();
    open().saveBlob(DIGEST, CONTENT);
    expect(open().blob(DIGEST)).not.toBeNull();
  });

  test.each(["", "{", "[]", '{"reference":"h.io/a:1"}', '{"reference":"h.io/a:1","digest":"x","rules":"r"}', "\xff"])(
    "a reference that says %j was never pulled",
    (text) => {
      open().saveResolved("h.io/a:1", { digest: DIGEST, rules: "r" });
      const [name = ""] = readdirSync(directory.path("cache/references"));
      writeFileSync(directory.path(`cache/references/${name}`), text);
      expect(open().resolved("h.io/a:1")).toBeNull();
    },
  );

  test("a file under the name of another reference says nothing of it", () => {
    open().saveResolved("h.io/a:1", { digest: DIGEST, rules: "r" });
    open().saveResolved("h.io/a:2", { digest: DIGEST, rules: "s" });
    const [one = "", two = ""] = readdirSync(directory.path("cache/references"));
    writeFileSync(directory.path(`cache/references/${one}`), readFileSync(directory.path(`cache/references/${two}`)));
    expect([open().resolved("h.io/a:1"), open().resolved("h.io/a:2")].filter((each) => each === null)).toHaveLength(1);
  });
});

describe("what dead writers left", () => {
  test("goes with the next save; what living ones write stays", () => {
    open().saveBlob(DIGEST, CONTENT);
    const stat = readFileSync(`/proc/${process.pid}/stat`, "utf8");
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const living = `${process.pid}-${start}-abc`;
    for (const name of ["1-0-abc", "4194304-5-abc", `${process.pid}-1-abc`, "rubbish", living]) {
      writeFileSync(directory.path(`cache/new/${name}`), "half");
    }
    open().saveBlob(DIGEST, CONTENT);
    expect(readdirSync(directory.path("cache/new"))).toEqual([living]);
  });
});

describe("whose directory it is", () => {
  test("others may not write in it", () => {
    mkdirSync(directory.path("cache"));
    for (const mode of [0o777, 0o775, 0o707]) {
      chmodSync(directory.path("cache"), mode);
      for (const run of [() => open().resolved("h.io/a:1"), () => open().saveBlob(DIGEST, CONTENT)]) {
        const error = failureOf(run);
        expect(error.code).toBe("STATE_CONFLICT");
        expect(error.message).toContain("other users can write to it (mode");
      }
    }
    chmodSync(directory.path("cache"), 0o755);
    open().saveBlob(DIGEST, CONTENT);
  });

  test("a file is not a directory", () => {
    writeFileSync(directory.path("cache"), "");
    expect(failureOf(() => open().blob(DIGEST)).message).toContain("it is not a directory");
    expect(failureOf(() => open().saveBlob(DIGEST, CONTENT)).code).toBe("IO_FAILED");
  });

  test.skipIf(process.geteuid?.() !== 0)("nothing is read of another user's, made or written in it", () => {
    mkdirSync(directory.path("cache"));
    chownSync(directory.path("cache"), 1234, 1234);
    for (const run of [() => open().resolved("h.io/a:1"), () => open().saveBlob(DIGEST, CONTENT)]) {
      const error = failureOf(run);
      expect([error.code, error.message]).toEqual([
        "STATE_CONFLICT",
        `use the image cache "${directory.path("cache")}": it belongs to user 1234`,
      ]);
      expect(error.details).toEqual({ path: directory.path("cache"), uid: 1234, mode: "755" });
      expect(error.hint).toContain(`chown -R root "${directory.path("cache")}"`);
    }
    expect(readdirSync(directory.path("cache"))).toEqual([]);
  });

  test("the cache may lie where a link of one's own leads, as to another disk", () => {
    mkdirSync(directory.path("elsewhere"));
    symlinkSync("elsewhere", directory.path("cache"));
    open().saveBlob(DIGEST, CONTENT);
    expect(open().blob(DIGEST)).not.toBeNull();
    expect(readdirSync(directory.path("elsewhere"))).toContain("blobs");
    chmodSync(directory.path("elsewhere"), 0o777);
    expect(failureOf(() => open().blob(DIGEST)).message).toContain("other users can write to it");
  });

  test.skipIf(process.geteuid?.() !== 0)("not where one of another user's leads", () => {
    mkdirSync(directory.path("elsewhere"));
    symlinkSync("elsewhere", directory.path("cache"));
    lchownSync(directory.path("cache"), 1234, 1234);
    expect(failureOf(() => open().saveBlob(DIGEST, CONTENT)).message).toContain("it is a symbolic link");
    expect(readdirSync(directory.path("elsewhere"))).toEqual([]);
  });

  test("no link below it is followed", () => {
    mkdirSync(directory.path("elsewhere"));
    mkdirSync(directory.path("cache"));
    symlinkSync(directory.path("elsewhere"), directory.path("cache/new"));
    expect(failureOf(() => open().saveBlob(DIGEST, CONTENT)).details.path).toBe(directory.path("cache/new"));
    mkdirSync(directory.path("cache/references"));
    chmodSync(directory.path("cache/references"), 0o777);
    expect(failureOf(() => open().resolved("h.io/a:1")).details.path).toBe(directory.path("cache/references"));
    expect(readdirSync(directory.path("elsewhere"))).toEqual([]);
  });

  test("links in it are not followed", () => {
    open().saveBlob(DIGEST, CONTENT);
    writeFileSync(directory.path("secret"), CONTENT);
    Bun.spawnSync(["rm", blobPath()]);
    symlinkSync(directory.path("secret"), blobPath());
    expect(failureOf(() => open().blob(DIGEST)).code).toBe("IO_FAILED");
    open().saveBlob(DIGEST, CONTENT);
    expect(open().blob(DIGEST)).not.toBeNull();
  });
});
