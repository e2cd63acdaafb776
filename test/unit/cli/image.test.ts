import { describe, expect, test } from "bun:test";
import type { ImageInspectAnswer, ImagePullAnswer } from "../../../src/domain/image-answer.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { cli } from "../../fakes/cli-host.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("requests", () => {
  const load = {
    globalData: {},
    globals: {},
    metadata: {},
    application: null,
    mapOwnerId: null,
    maps: {},
    mapEntries: {},
  };
  const cases: [line: string, name: string, request: object][] = [
    [
      "load image --image-url h.io/a:1 --programs xdp:pass",
      "program/load",
      {
        source: { image: { url: "h.io/a:1", registryAuth: null } },
        programs: [{ type: "xdp", name: "pass", attachFunction: null }],
        ...load,
      },
    ],
    [
      "load image --programs xdp:pass tc:b -i a -p NEVER -r YTpi -g A=01 -a app -m k=v --map-owner-id 5",
      "program/load",
      {
        source: { image: { url: "a", registryAuth: "YTpi", pullPolicy: "NEVER" } },
        programs: [
          { type: "xdp", name: "pass", attachFunction: null },
          { type: "tc", name: "b", attachFunction: null },
        ],
        globalData: { A: "01" },
        globals: {},
        metadata: { k: "v" },
        application: "app",
        mapOwnerId: 5,
        maps: {},
        mapEntries: {},
      },
    ],
    ["image pull -i a", "image/pull", { url: "a", registryAuth: null }],
    [
      "image pull --image-url a --registry-auth YTpi --pull-policy Always",
      "image/pull",
      { url: "a", registryAuth: "YTpi", pullPolicy: "Always" },
    ],
    ["image inspect a", "image/inspect", { url: "a", registryAuth: null }],
    ["image inspect a -r YTpi", "image/inspect", { url: "a", registryAuth: "YTpi" }],
  ];
  test.each(cases)("%s", async (line, name, request) => {
    const run = await cli([...line.split(" "), "-o", "json"]);
    expect({ code: run.code, err: run.err }).toEqual({ code: 0, err: "" });
    expect(run.calls.map((call) => [call.name, call.request])).toEqual([[name, request]]);
  });

  test.each<[line: string, name: string]>([
    ["load image -i a --programs xdp:a", "program/load"],
    ["program load image a --programs xdp:a", "program/load"],
    ["image pull -i a", "image/pull"],
    ["image inspect a", "image/inspect"],
    ["image verify a", "image/verify"],
  ])("%s takes credentials from the environment, unless the line has some", async (line, name) => {
    const authOf = async (more: string, value: string) => {
      const run = await cli(`${line}${more}`, {
        env: { BPFMAN_REGISTRY_AUTH: value },
        answer: () => ({ programs: [], signatures: [] }),
      });
      expect(run.calls.map((call) => call.name)).toEqual([name]);
      return JSON.stringify(run.calls[0]?.request).match(/"registryAuth":(null|"[^"]*")/)?.[1];
    };
    expect(await authOf("", "YTpi")).toBe('"YTpi"');
    expect(await authOf(" --registry-auth Yzpk", "YTpi")).toBe('"Yzpk"');
    expect(await authOf("", "")).toBe("null");
  });

  test.each(["load image --programs xdp:a", "load image -i a", "image pull", "image inspect"])(
    "%s lacks something",
    async (line) => {
      const run = await cli(line);
      expect(run.code).toBe(line === "image inspect" ? 1 : 2);
      expect(run.err).toContain("needs");
      expect(run.calls).toEqual([]);
    },
  );
});

/** Without the blanks at line ends, which keep the columns apart. */
const trimmed = (text: string): string => text.replace(/ +$/gm, "");

describe("text", () => {
  test("what was pulled", async () => {
    const answer: ImagePullAnswer = {
      reference: "docker.io/library/a:latest",
      digest: DIGEST,
      media_type: "m",
      programs: { second: "tc", first: "xdp" },
      maps: {},
    };
    const run = await cli("image pull -i a", { answer: () => answer });
    expect(trimmed(run.out)).toBe(` Bytecode Image
 Image URL:      docker.io/library/a:latest
 Digest:         ${DIGEST}
 Media Type:     m
 Programs:       first (xdp)
                 second (tc)
 Maps:           None
`);
  });

  test("an index; what a terminal would act on is escaped", async () => {
    const content = { programs: { "x\x1b[2J": "xdp" }, maps: null };
    const layers = [{ media_type: "l", digest: DIGEST, size: 12 }];
    const entry = { digest: DIGEST, media_type: "n", size: 3, ...content, layers };
    const answer: ImageInspectAnswer = {
      reference: "h.io/a:1",
      digest: DIGEST,
      media_type: "m",
      manifests: [
        { ...entry, platform: "linux/arm/v7" },
        { ...entry, platform: "linux/amd64" },
      ],
    };
    const { out } = await cli("image inspect h.io/a:1 -o text", { answer: () => answer });
    const table = (name: string) => ` Bytecode Image
 Platform:       ${name}
 Digest:         ${DIGEST}
 Media Type:     n
 Programs:       x\\x1b[2J (xdp)
 Maps:           None
 Layers:         ${DIGEST} (12 bytes)
`;
    expect(trimmed(out)).toBe(` Image Index
 Image URL:   h.io/a:1
 Digest:      ${DIGEST}
 Media Type:  m
 Platforms:   linux/arm/v7
              linux/amd64

${table("linux/arm/v7")}
${table("linux/amd64")}`);
  });
});

describe("progress", () => {
  const busy = (then: () => unknown) => (call: { context: { progress?(message: string): void } }) => {
    call.context.progress?.("pulling a");
    call.context.progress?.("a: 1 of 2 KiB \x1b[2J");
    return then();
  };
  const answer = { reference: "a", digest: DIGEST, media_type: "m", programs: {}, maps: {} };

  test("is one line of a terminal, which goes when there is something to say", async () => {
    const run = await cli("image pull -i a", { terminal: true, answer: busy(() => answer) });
    expect(run.err).toBe("\r\x1b[Kpulling a\r\x1b[Ka: 1 of 2 KiB \\x1b[2J\r\x1b[K");
    const fails = () => {
      throw new BpfmanError("INVALID_BUILD", "no such image");
    };
    const failed = await cli("image pull -i a", { terminal: true, answer: busy(fails) });
    expect(failed.err).toEndWith("\r\x1b[K\x1b[1;31merror:\x1b[0m no such image\n");
  });

  test("is not shown on a pipe", async () => {
    expect((await cli("image pull -i a", { answer: busy(() => answer) })).err).toBe("");
  });
});
