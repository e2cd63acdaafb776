import { defineCommand, vary } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { attaching, CONTAINER_PID, FN_NAME, METADATA, OFFSET } from "./fields.ts";

const UNSUPPORTED_PID = vary(CONTAINER_PID, {
  doc: ["PID of a process in the container to attach in.", "Not supported yet: kprobes attach to the host's kernel."],
});

export const attachKprobe = defineCommand({
  fields: {
    programId: PROGRAM_ID,
    fnName: FN_NAME,
    offset: OFFSET,
    containerPid: UNSUPPORTED_PID,
    metadata: METADATA,
  },
  classic: {
    above: ["programId"],
    examples: {
      "Run it when the kernel enters the function (a kretprobe: when it returns)":
        "bpfman attach 63178 kprobe --fn-name try_to_wake_up",
    },
  },
  noun: {
    words: ["programId", "fnName"],
    options: ["offset", "metadata"],
    examples: {
      "Run it when the kernel enters the function (a kretprobe: when it returns)":
        "bpfman link attach kprobe 63178 try_to_wake_up",
    },
  },
  prepare: ({ fnName, offset, containerPid, ...link }, noun) =>
    attaching(link, { kind: "kprobe", fnName, offset, ...(noun ? {} : { containerPid }) }),
});
