import type { LinkReadAnswer } from "../../domain/answer.ts";
import type { LinkRecord } from "../../domain/link.ts";
import { linkPin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { IteratorOutput } from "../../platform/kernel.ts";
import { type Context, operation, type Sink } from "../operation.ts";
import { linkIdOf, requireLink } from "../require-record.ts";
import { type ReadLinkRequest, readLinkRequest } from "../requests/link-requests.ts";

function openLink(host: Host, { id, details, kernelLinkId, pinPath }: LinkRecord): IteratorOutput {
  if (details.kind !== "iter") {
    throw new BpfmanError("NOT_SUPPORTED", `link ${id} is not an iterator, but a link of kind ${details.kind}`, {
      details: { link_id: id, kind: details.kind },
      hint: "only programs of kind iter write something to read",
    });
  }
  if (kernelLinkId === null) throw new BpfmanError("STATE_CONFLICT", `link ${id} is not attached`);
  return host.kernel.openIterator(linkPin(pinPath, kernelLinkId));
}

/** The parts of what the program writes, as long as nobody interrupts it. */
async function* parts(host: Host, output: IteratorOutput, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let part = output.read(); part !== null; part = output.read()) {
    yield part;
    // Lets signals in.
    await host.sleep(0);
    if (signal.aborted) throw new BpfmanError("CANCELLED", "interrupted: not everything was read");
  }
}

/** Passes everything on, one part after the other. Memory does not grow with what the program writes. */
async function stream(output: AsyncIterable<Uint8Array>, sink: Sink): Promise<void> {
  for await (const part of output) if (!sink.write(part)) return;
}

/** A page of what a new run of the program writes. */
async function page(
  output: AsyncIterable<Uint8Array>,
  { offset, limit }: ReadLinkRequest,
): Promise<Pick<LinkReadAnswer, "output" | "next">> {
  const bytes = Buffer.alloc(limit);
  let place = 0;
  let filled = 0;
  for await (const part of output) {
    const wanted = part.subarray(Math.min(part.length, Math.max(0, offset - place)));
    const room = wanted.subarray(0, limit - filled);
    bytes.set(room, filled);
    filled += room.length;
    place += part.length;
    if (room.length < wanted.length) return { output: bytes.toString("base64", 0, filled), next: offset + filled };
  }
  return { output: bytes.toString("base64", 0, filled), next: null };
}

/** Runs the program of an iterator link, which writes anew each time. */
async function readLink(host: Host, request: ReadLinkRequest, context: Context): Promise<LinkReadAnswer> {
  const { sink, signal } = context;
  const link = requireLink(host, linkIdOf(host, request.linkId, context));
  const iterator = openLink(host, link);
  try {
    const output = parts(host, iterator, signal);
    if (sink === null) return { link_id: link.id, ...(await page(output, request)) };
    await stream(output, sink);
    return { link_id: link.id, output: "", next: null };
  } finally {
    iterator.close();
  }
}

export const implementation = operation({
  get request() {
    return readLinkRequest();
  },
  run: readLink,
});
