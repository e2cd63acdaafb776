/**
 * Asks a daemon, as bpfman-operator's agent and the kubelet do: `ask-daemon.ts SOCKET OBJECT [CSI_SOCKET]`. Prints a
 * DaemonAnswer as JSON.
 */
import { Bpfman, BpfmanProgramType } from "../../src/grpc/generated/bpfman.ts";
import { Identity } from "../../src/grpc/generated/csi.ts";
import { GrpcClient } from "./grpc-client.ts";

export interface DaemonAnswer {
  /** The names of all programs, before anything is asked for. */
  readonly programs: readonly string[];
  /** How many links a packet counter had that it was asked to load, to attach, and then to unload. */
  readonly links: number;
  /** What the CSI driver calls itself; null without a socket for it. */
  readonly driver: string | null;
}

const [socket = "", object = "", csiSocket] = process.argv.slice(2);
const METADATA = { "bpfman.io/ProgramName": "asked" };

async function asking<T>(path: string, ask: (client: GrpcClient) => Promise<T>): Promise<T> {
  const client = new GrpcClient(path);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

async function askForPrograms(client: GrpcClient): Promise<Omit<DaemonAnswer, "driver">> {
  const { results } = await client.call(Bpfman.method.list, { bpfmanProgramsOnly: true });
  const { programs } = await client.call(Bpfman.method.load, {
    bytecode: { location: { case: "file", value: object } },
    info: [{ name: "count_packets", programType: BpfmanProgramType.TCX }],
    metadata: METADATA,
  });
  const id = programs[0]?.kernelInfo?.id ?? 0;
  const value = { iface: "lo", priority: 50, direction: "egress", metadata: METADATA };
  await client.call(Bpfman.method.attach, { id, attach: { info: { case: "tcxAttachInfo", value } } });
  const { info } = await client.call(Bpfman.method.get, { id });
  await client.call(Bpfman.method.unload, { id });
  return {
    programs: results.map(({ kernelInfo }) => kernelInfo?.name ?? ""),
    links: info?.links.length ?? 0,
  };
}

const answer: DaemonAnswer = {
  ...(await asking(socket, askForPrograms)),
  driver:
    csiSocket === undefined
      ? null
      : await asking(csiSocket, async (client) => (await client.call(Identity.method.getPluginInfo, {})).name),
};
console.log(JSON.stringify(answer));
