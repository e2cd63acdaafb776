import { expect, test } from "bun:test";
import { LISTED_NAMES_MAX } from "../../../src/domain/limits.ts";
import { didYouMean, nearest, whatThereIs } from "../../../src/errors/suggest.ts";

test.each([
  ["cuont", ["count", "drop"], ["count"]],
  ["COUNT", ["count", "counts"], ["count"]],
  // Where one is clearly meant, others that are less alike are left out.
  ["sched/sched_swich", ["sched/sched_switch", "sched/sched_waking"], ["sched/sched_switch"]],
  ["txc", ["tc", "tcx", "xdp"], ["tc", "tcx"]],
  // A part of the name, from three characters on anywhere in it.
  ["unlinkat", ["do_unlinkat", "vfs_read"], ["do_unlinkat"]],
  ["tc", ["tc-ingress", "tc-egress", "etc"], ["etc", "tc-egress", "tc-ingress"]],
  ["--output-format", ["--output", "--override"], ["--output"]],
  ["--o", ["--output"], ["--output"]],
  ["--url", ["--image-url", "--output"], ["--image-url"]],
  ["x", ["eth0", "lo"], []],
  ["", ["lo"], []],
  ["-", ["d", "--"], ["--"]],
])("%j among %j", (wrong, names, found) => expect(nearest(wrong, names)).toEqual(found));

test("a question names up to three", () => {
  expect(didYouMean("eth9", ["eth0"])).toBe('did you mean "eth0"?');
  expect(didYouMean("eth9", ["eth0", "eth1"])).toBe('did you mean "eth0" or "eth1"?');
  expect(didYouMean("eth9", ["eth0", "eth1", "eth2", "eth3"])).toBe('did you mean "eth0", "eth1" or "eth2"?');
  expect(didYouMean("wlan", ["eth0"])).toBeNull();
});

test("where all can be listed, they are, up to a screen of them", () => {
  const words = { there: "interfaces are", none: "there are none" };
  expect(whatThereIs("eth9", ["eth0", "lo"], words)).toBe('did you mean "eth0"? interfaces are: eth0, lo');
  expect(whatThereIs("x", ["eth0", "lo"], words)).toBe("interfaces are: eth0, lo");
  expect(whatThereIs("x", [], words)).toBe("there are none");
  const many = Array.from({ length: LISTED_NAMES_MAX + 2 }, (_, index) => `veth-${index}`);
  expect(whatThereIs("x", many, words)).toEndWith(`, veth-${LISTED_NAMES_MAX - 1}, and 2 more`);
});
