import tcDispatcher from "../../../dist/bpf/tc_dispatcher.bpf.o" with { type: "file" };
import xdpDispatcher from "../../../dist/bpf/xdp_dispatcher.bpf.o" with { type: "file" };

const PATHS = { tc_dispatcher: tcDispatcher, xdp_dispatcher: xdpDispatcher } as const;

export type EmbeddedObject = keyof typeof PATHS;

/** The bytes of a BPF object that comes with this program (scripts/build-bpf.ts makes them). */
export const embeddedObject = (name: EmbeddedObject): Promise<Uint8Array> => Bun.file(PATHS[name]).bytes();
