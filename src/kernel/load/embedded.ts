import memberWatch from "../../../dist/bpf/member_watch.bpf.o" with { type: "file" };
import tcDispatcher from "../../../dist/bpf/tc_dispatcher.bpf.o" with { type: "file" };
import xdpDispatcher from "../../../dist/bpf/xdp_dispatcher.bpf.o" with { type: "file" };

const PATHS = { member_watch: memberWatch, tc_dispatcher: tcDispatcher, xdp_dispatcher: xdpDispatcher } as const;

export type EmbeddedObject = keyof typeof PATHS;

/** Returns the bytes of an embedded BPF object (built by scripts/build-bpf.ts). */
export const embeddedObject = (name: EmbeddedObject): Promise<Uint8Array> => Bun.file(PATHS[name]).bytes();
