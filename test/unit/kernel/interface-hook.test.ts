import { expect, test } from "bun:test";
import { explainHook } from "../../../src/kernel/hooks/interface-hook.ts";

const codeOf = (call: string, name: string) => explainHook({ call, errno: 1, name })?.code ?? null;

test("a namespace has gone if the kernel says so, and not because it could not be entered", () => {
  for (const name of ["ENOENT", "ENOTDIR", "EINVAL"]) expect(codeOf("setns", name)).toBe("NETNS_NOT_FOUND");
  for (const name of ["ENOMEM", "EIO", "EMFILE", "EINTR", "EPERM"]) {
    expect([codeOf("open", name), codeOf("setns", name)]).toEqual([null, null]);
  }
  expect(codeOf("bpf(BPF_LINK_CREATE)", "ENODEV")).toBe("INTERFACE_NOT_FOUND");
});
