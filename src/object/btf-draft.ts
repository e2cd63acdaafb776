/** Modified BTF. Types and names keep their IDs and offsets, because .BTF.ext contains them too. */
import { BTF_HEADER_BYTES, BTF_MAGIC, BTF_VERSION, type Btf } from "./btf.ts";
import { Bytes, joined } from "./fields.ts";

export class BtfDraft {
  private readonly littleEndian: boolean;
  /** By ID. */
  private readonly types: Uint8Array[];
  private readonly strings: Uint8Array[];
  private readonly names = new Map<string, number>();
  private end: number;

  /** `before` is null to start without types. */
  constructor(before: Btf | null, littleEndian: boolean) {
    this.littleEndian = littleEndian;
    this.types = Array.from(before?.places ?? [0], (at, id) =>
      before === null || id === 0 ? new Uint8Array(0) : before.types.bytes.subarray(at, before.places[id + 1]),
    );
    this.strings = [before?.strings.bytes ?? new Uint8Array(1)];
    this.end = before?.strings.length ?? 1;
  }

  /** Returns the offset of a name that is added, once, to those there were. */
  name(text: string): number {
    const known = this.names.get(text);
    if (known !== undefined) return known;
    const at = this.end;
    const encoded = new TextEncoder().encode(`${text}\0`);
    this.names.set(text, at);
    this.strings.push(encoded);
    this.end += encoded.length;
    return at;
  }

  /** Adds a type: its name's offset, its kind, the count and so on as 32-bit words. Returns its ID. */
  add(nameAt: number, [kind, count = 0]: readonly [kind: number, count?: number], ...rest: number[]): number {
    this.replace(this.types.length, nameAt, [kind, count], ...rest);
    return this.types.length - 1;
  }

  /** Replaces the type `id`, as {@link add}. */
  replace(
    id: number,
    nameAt: number,
    [kind, count = 0]: readonly [kind: number, count?: number],
    ...rest: number[]
  ): void {
    const type = new Bytes(new Uint8Array((2 + rest.length) * 4), this.littleEndian);
    type.u32(0, nameAt, kind * 2 ** 24 + count, ...rest);
    this.types[id] = type.bytes;
  }

  /** Returns the contents of section .BTF. */
  finish(): Uint8Array {
    const [types, strings] = [joined(this.types), joined(this.strings)];
    const header = new Bytes(new Uint8Array(BTF_HEADER_BYTES), this.littleEndian);
    header.u16(0, BTF_MAGIC);
    header.u8(2, BTF_VERSION);
    header.u32(4, BTF_HEADER_BYTES, 0, types.length, types.length, strings.length);
    return joined([header.bytes, types, strings]);
  }
}
