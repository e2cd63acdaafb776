/** Errors for malformed requests: mistakes of people who write JSON-RPC, and options that nothing else checks. */
import { expect, test } from "bun:test";
import type { GenericSchema } from "valibot";
import { PROGRAM_TYPES } from "../../../src/domain/kinds.ts";
import { parseRequest } from "../../../src/service/parse-request.ts";
import { attachRequest, attachTarget } from "../../../src/service/requests/attach-request.ts";
import { buildImageRequest } from "../../../src/service/requests/build-requests.ts";
import { loadRequest } from "../../../src/service/requests/load-request.ts";
import { getProgramRequest, listProgramsRequest } from "../../../src/service/requests/program-requests.ts";
import { failureOf } from "../../expect/failure.ts";

function expectProblem(
  schema: GenericSchema,
  request: unknown,
  [message, hint]: readonly [string, string | null],
): void {
  const error = failureOf(() => parseRequest(schema, request));
  expect([error.code, error.message, error.hint]).toEqual(["INVALID_REQUEST", message, hint]);
}

const LOAD = { source: { file: "/x" }, programs: [{ type: "tcx", name: "count" }] };
const TYPES = PROGRAM_TYPES.join(", ");

const LOADS: readonly (readonly [request: object, message: string, hint: string | null])[] = [
  [{ ...LOAD, global: {} }, 'unknown field "global"', 'did you mean "globals" or "globalData"?'],
  [
    { ...LOAD, x: {} },
    'unknown field "x"',
    "fields are source, programs, globalData, globals, metadata, application, mapOwnerId, maps, mapEntries, keep, supersede",
  ],
  [{ ...LOAD, source: { fil: "/x" } }, 'unknown field "source.fil"', 'did you mean "file"?'],
  [
    { ...LOAD, source: { image: { url: "x", pullpolicy: "Never" } } },
    'unknown field "source.image.pullpolicy"',
    'did you mean "pullPolicy"?',
  ],
  [{ source: LOAD.source }, 'field "programs" is missing', null],
  [{ ...LOAD, programs: [{ type: "tcx", nam: "x" }] }, 'unknown field "programs.0.nam"', 'did you mean "name"?'],
  [{ ...LOAD, programs: [["tcx", "x"]] }, 'invalid value for "programs.0": must be an object, not a list', null],
  [{ ...LOAD, programs: ["all"] }, 'invalid value for "programs.0": must be an object, not "all"', null],
  [{ ...LOAD, source: "/x" }, 'invalid value for "source": must be an object, not "/x"', null],
  [{ ...LOAD, source: { file: "" } }, 'invalid value for "source.file": must not be empty', null],
  [{ ...LOAD, programs: [] }, 'invalid value for "programs": must not be empty', null],
  [{ ...LOAD, programs: "tcx:count" }, 'invalid value for "programs": must be a list, not "tcx:count"', null],
  [
    { ...LOAD, programs: [{ type: "txc", name: "x" }] },
    `invalid value for "programs.0.type": must be one of ${TYPES}, not "txc"`,
    'did you mean "tc" or "tcx"?',
  ],
  [
    { ...LOAD, programs: [{ type: "tcx", name: "x".repeat(513) }] },
    'invalid value for "programs.0.name": must have at most 512 characters, not 513',
    null,
  ],
  [
    { ...LOAD, source: { image: { url: "x", pullPolicy: "Nevr" } } },
    'invalid value for "source.image.pullPolicy": a pull policy is Always, IfNotPresent, Never, in any letter case; got "Nevr"',
    'did you mean "Never"?',
  ],
  [
    { ...LOAD, globalData: { A: { base64: "%" } } },
    'invalid value for "globalData.A": hex digits, two for each byte, or an object with "base64"',
    null,
  ],
  [{ ...LOAD, metadata: { a: 5 } }, 'invalid value for "metadata.a": must be text, not 5', null],
];
test.each(LOADS)("of a load: %j", (request, message, hint) => expectProblem(loadRequest, request, [message, hint]));

const ATTACHES: typeof LOADS = [
  [{ kind: "tcx" }, 'field "attach.iface" is missing', null],
  [
    { iface: "lo" },
    'field "attach.kind" is missing',
    `it is one of ${attachTarget()
      .options.map((option) => option.entries.kind.literal)
      .join(", ")}`,
  ],
  [
    { kind: "tcx", iface: "lo", direction: "ingress", priority: 1, proceed_on: [] },
    'unknown field "attach.proceed_on"',
    "fields are kind, iface, priority, netns, direction",
  ],
  [
    { kind: "tc", iface: "lo", direction: "ingress", priority: 1, proceed_on: [] },
    'unknown field "attach.proceed_on"',
    'did you mean "proceedOn"?',
  ],
  [
    { kind: "tcx", iface: "lo", direction: "ingress", priority: 1, netn: "x" },
    'unknown field "attach.netn"',
    'did you mean "netns"?',
  ],
  [
    { kind: "tcx", iface: "x".repeat(128), direction: "ingress", priority: 1 },
    'invalid value for "attach.iface": must have at most 127 characters, not 128',
    null,
  ],
  [
    { kind: "xdp", iface: "lo", priority: -1 },
    'invalid value for "attach.priority": a priority is a whole number from 0 to 2147483647; got -1',
    null,
  ],
  [{ kind: "uprobe", target: "/x", pid: 0 }, 'invalid value for "attach.pid": must be at least 1, not 0', null],
];
test.each(ATTACHES)("of an attach: %j", (attach, message, hint) => {
  expectProblem(attachRequest({ attach }), { programId: 5, attach }, [message, hint]);
});

test("of others", () => {
  expectProblem(getProgramRequest(), null, ['invalid value for "(request)": must be an object', null]);
  for (const name of ["progamId", "program_id", "ProgramID"]) {
    expectProblem(getProgramRequest(), { [name]: 5 }, [`unknown field "${name}"`, 'did you mean "programId"?']);
  }
  expectProblem(getProgramRequest(), { x: 5 }, ['field "programId" is missing', null]);
  expectProblem(getProgramRequest(), { programId: 1.5 }, [
    'invalid value for "programId": must be a whole number, not 1.5',
    null,
  ]);
  expectProblem(getProgramRequest(), { programId: 2 ** 33 }, [
    'invalid value for "programId": must be at most 4294967295, not 8589934592',
    null,
  ]);
  expectProblem(listProgramsRequest(), { programType: 5 }, [
    'invalid value for "programType": must be text or a list, not 5',
    null,
  ]);
  expectProblem(listProgramsRequest(), { all: "yes" }, [
    'invalid value for "all": must be true or false, not "yes"',
    null,
  ]);
  const files = [{ platform: "linux/amd65", file: "x" }];
  const error = failureOf(() => parseRequest(buildImageRequest, { tag: "x", bytecode: { files } }));
  expect(error.message).toStartWith('invalid value for "bytecode.files.0.platform": must be one of linux/386, ');
  expect(error.message).toEndWith(', not "linux/amd65"');
  expect(error.hint).toBe('did you mean "linux/amd64"?');
});

test("values and names of any length are cut, in details as in words", () => {
  const long = "x".repeat(100_000);
  for (const request of [{ programId: long }, { [long]: 1 }, { programId: 1, [long]: 1 }]) {
    const { message, hint, details } = failureOf(() => parseRequest(getProgramRequest(), request));
    expect(message.length + (hint?.length ?? 0) + JSON.stringify(details).length).toBeLessThan(4_000);
  }
});
