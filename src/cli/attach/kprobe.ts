import { vary } from "../command.ts";
import { attachTo, CONTAINER_PID, FN_NAME, OFFSET } from "./fields.ts";

const UNSUPPORTED_PID = vary(CONTAINER_PID, {
  doc: ["PID of a process in the container to attach in.", "Not supported yet: kprobes attach to the host's kernel."],
});

export const attachKprobe = attachTo("kprobe", {
  target: { fnName: FN_NAME, offset: OFFSET, containerPid: UNSUPPORTED_PID },
  words: ["fnName"],
  classicOnly: ["containerPid"],
  classic: {
    "Run it when the kernel enters the function (a kretprobe: when it returns)":
      "bpfman attach 63178 kprobe --fn-name try_to_wake_up",
  },
  noun: {
    "Run it when the kernel enters the function (a kretprobe: when it returns)":
      "bpfman link attach kprobe 63178 try_to_wake_up",
  },
});
