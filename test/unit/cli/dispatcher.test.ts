import { describe, expect, test } from "bun:test";
import type { DispatcherDetailAnswer } from "../../../src/domain/answer.ts";
import { renderDispatcher, renderDispatcherList } from "../../../src/cli/render/dispatcher.ts";
import { tcxLink } from "../../fakes/answers.ts";
import { cli } from "../../fakes/cli-host.ts";

const detail: DispatcherDetailAnswer = {
  key: { type: "xdp", nsid: 4026531840, ifindex: 2 },
  interface: "eth0",
  revision: 3,
  mode: "chain",
  runtime: { program_id: 7, kernel_link_id: 9, mode: "drv", netns_path: null },
  member_count: 1,
  attachment: { present: true, reason: null, interface: "eth0" },
  members: [
    {
      program_id: 5,
      program_name: "xdp_pass",
      prog_pin_path: "/p",
      link_id: 1,
      kernel_link_id: 11,
      link_pin_path: "/l",
      position: 0,
      priority: 50,
      proceed_on: 0x80000004,
      ifname: "eth0",
      metadata: {},
    },
  ],
};

describe("requests", () => {
  test.each([
    ["dispatcher list", "dispatcher/list", { type: null, nsid: null, ifindex: null, all: false }],
    [
      "dispatcher list --type tc-egress --nsid 7 --ifindex 2",
      "dispatcher/list",
      { type: "tc-egress", nsid: 7, ifindex: 2, all: false },
    ],
    ["dispatcher get xdp 4026531840 2", "dispatcher/get", { type: "xdp", nsid: 4026531840, ifindex: 2 }],
    ["link update 3 --priority 7", "link/update", { linkId: 3, priority: 7, proceedOn: null }],
    [
      "link update 3 -p 0 --proceed-on pass drop --proceed-on ok",
      "link/update",
      { linkId: 3, priority: 0, proceedOn: ["pass", "drop", "ok"] },
    ],
  ])("%s", async (line, name, request) => {
    const answers: Record<string, unknown> = {
      "dispatcher/list": { dispatchers: [] },
      "dispatcher/get": detail,
      "link/update": tcxLink,
    };
    const run = await cli(line, { answer: (call) => answers[call.name] });
    expect(run.err).toBe("");
    expect(run.calls.map((call) => [call.name, call.request])).toEqual([[name, request]]);
  });

  test.each([
    ["dispatcher get tcx 1 2", 'invalid dispatcher type "tcx": must be one of xdp, tc-ingress, tc-egress'],
    ["dispatcher get xdp 0 2", 'invalid namespace id "0": must be a whole number from 1 to 4294967295'],
    ["link update 3", "nothing to update: give --priority, --proceed-on, or both"],
    ["link update 3 -p 2147483648", 'invalid priority "2147483648": must be a whole number from 0 to 2147483647'],
  ])("%s is rejected", async (line, message) => {
    const run = await cli(line);
    expect(run.code).toBe(1);
    expect(run.err).toStartWith(`bpfman: error: ${message}\n`);
    expect(run.connected).toEqual([]);
  });
});

test("an empty list prints nothing as text, and an empty list as JSON", async () => {
  const answer = () => ({ dispatchers: [] });
  expect((await cli("dispatcher list", { answer })).out).toBe("");
  expect(JSON.parse((await cli("dispatcher list -o json", { answer })).out)).toEqual({ dispatchers: [] });
});

const PLAIN = { styled: false, columns: null };

test("text", () => {
  expect(renderDispatcherList({ dispatchers: [detail] }, PLAIN)).toBe(
    [
      " Type  Namespace   Ifindex  Interface  Revision  Mode   Program ID  Members ",
      " xdp   4026531840  2        eth0       3         chain  7           1 ",
      "",
    ].join("\n"),
  );
  const text = renderDispatcher(detail, PLAIN);
  expect(text).toContain(" Kernel Link ID:     9 \n XDP Mode:           drv \n");
  expect(text).toEndWith(
    [
      " Position  Priority  Program ID  Link ID  Function Name  Proceed On ",
      " 0         50        5           1        xdp_pass       0x80000004 ",
      "",
    ].join("\n"),
  );
  const { kernel_link_id: _link, mode: _mode, ...runtime } = detail.runtime;
  const tc = { ...detail, runtime: { ...runtime, filter_priority: 50, filter_handle: 1 } };
  expect(renderDispatcher(tc, PLAIN)).toContain(" Filter Priority:    50 \n Filter Handle:      1 \n");
});
