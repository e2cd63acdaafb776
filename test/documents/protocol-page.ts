/** The example frames of rpc/PROTOCOL.md. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

export interface Frame {
  readonly jsonrpc: "2.0";
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** A method's request and the answer to it. */
export interface Exchange {
  readonly request: Frame & { readonly method: string };
  readonly response: Frame;
}

export interface ProtocolPage {
  readonly text: string;
  /** By heading: the frames below it. */
  readonly sections: ReadonlyMap<string, readonly Frame[]>;
  /** Those of the sections that are named after methods. */
  exchange(method: string): Exchange;
  notification(method: string): Frame;
}

export function readProtocolPage(): ProtocolPage {
  const text = readFileSync(resolve(import.meta.dir, "../../rpc/PROTOCOL.md"), "utf8");
  const parts = text.split(/^#{2,3} (.+)\n/m).slice(1);
  const sections = new Map<string, Frame[]>();
  for (let at = 0; at < parts.length; at += 2) {
    const blocks = [...(parts[at + 1] ?? "").matchAll(/^```json\n(.*?)^```\n/gms)];
    sections.set(
      parts[at] ?? "",
      blocks.map(([, block = ""]) => JSON.parse(block)),
    );
  }
  const framesOf = (name: string): readonly Frame[] => sections.get(name) ?? [];
  return {
    text,
    sections,
    exchange(section) {
      const [request, response, ...more] = framesOf(section);
      if (request?.method === undefined || response === undefined || more.length > 0 || request.id !== response.id) {
        throw new Error(`"${section}" needs one request and the answer to it`);
      }
      return { request: { ...request, method: request.method }, response };
    },
    notification(method) {
      const [frame, ...more] = framesOf(method);
      if (frame?.method !== method || frame.id !== undefined || more.length > 0) {
        throw new Error(`"${method}" needs one notification`);
      }
      return frame;
    },
  };
}
