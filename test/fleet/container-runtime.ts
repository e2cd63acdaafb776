/**
 * As much of a container runtime (runtime.v1, the CRI) as bpfman-agent asks to find the process of a pod's container: which pods
 * and containers there are, and with which process. The messages are written field by field, from the CRI's api.proto.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { frame } from "../labs/grpc-client.ts";

/** A pod with one container. */
export interface RunningPod {
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
  readonly pid: number;
}

type Field = readonly [number: number, value: string | Uint8Array];

function message(...fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    writer.tag(number, WireType.LengthDelimited);
    if (typeof value === "string") writer.string(value);
    else writer.bytes(value);
  }
  return writer.finish();
}

const sandboxId = ({ namespace, name }: RunningPod): string => `${namespace}-${name}`;
const containerId = (pod: RunningPod): string => `${sandboxId(pod)}-${pod.container}`;

const ANSWERS: Readonly<Record<string, (pods: readonly RunningPod[], asked: string) => Uint8Array>> = {
  Version: () => message([1, "0.1.0"], [2, "stand-in"], [3, "1.0.0"], [4, "v1"]),
  ListPodSandbox: (pods) =>
    message(
      ...pods.map(
        (pod): Field => [
          1,
          message([1, sandboxId(pod)], [2, message([1, pod.name], [2, sandboxId(pod)], [3, pod.namespace])]),
        ],
      ),
    ),
  ListContainers: (pods) =>
    message(
      ...pods.map((pod): Field => {
        const [metadata, image] = [message([1, pod.container]), message([1, "image"])];
        return [1, message([1, containerId(pod)], [2, sandboxId(pod)], [3, metadata], [4, image])];
      }),
    ),
  ContainerStatus(pods, asked) {
    const pod = pods.find((each) => asked.includes(containerId(each)));
    if (pod === undefined) throw new Error(`no container is asked for in ${JSON.stringify(asked)}`);
    const image: Field = [8, message([1, "image"])];
    const status = message([1, containerId(pod)], [2, message([1, pod.container])], image);
    return message([1, status], [2, message([1, "info"], [2, JSON.stringify({ pid: pod.pid })])]);
  },
};

/** Serves on a Unix socket until it is closed. */
export async function serveContainers(socket: string, pods: readonly RunningPod[]) {
  const server = createServer();
  server.on("stream", (opened, { ":path": path = "" }) => {
    const stream = opened as ServerHttp2Stream;
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      const answer = ANSWERS[path.replace("/runtime.v1.RuntimeService/", "")]?.(pods, Buffer.concat(parts).toString());
      if (answer === undefined) throw new Error(`the agent calls ${path}`);
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(frame(answer));
    });
  });
  await new Promise<void>((listening) => server.listen(socket, listening));
  return { close: () => void server.close() };
}
