import { allocate, type Memory, textUntilNul } from "../memory.ts";

/** Position of a field in a struct, in bytes. */
export interface Field {
  readonly offset: number;
  readonly size: number;
}

export interface StructLayout {
  readonly fields: Readonly<Record<string, Field>>;
  /** Bytes up to the end of the last field. */
  readonly size: number;
}

type FieldName<Layout extends StructLayout> = keyof Layout["fields"] & string;
export type FieldValues<Layout extends StructLayout> = Partial<Record<FieldName<Layout>, number | bigint>>;

function fieldOf(fields: StructLayout["fields"], name: string): Field {
  const field = fields[name];
  if (field === undefined) throw new RangeError(`the struct has no field "${name}"`);
  return field;
}

/**
 * Writes an unsigned integer, little-endian like every machine bpfman runs on. Throws RangeError if it does not fit.
 */
function writeUnsigned(view: DataView, field: Field, value: number | bigint): void {
  if (field.size !== 4 && field.size !== 8) throw new RangeError(`a field of ${field.size} bytes is not a number`);
  // Nearly all values are small; avoid creating a BigInt for them.
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) {
    view.setUint32(field.offset, value, true);
    if (field.size === 8) view.setUint32(field.offset + 4, 0, true);
    return;
  }
  const whole = BigInt(value);
  if (whole < 0n || whole >> BigInt(field.size * 8) !== 0n) {
    throw new RangeError(`${value} does not fit into ${field.size} unsigned bytes`);
  }
  if (field.size === 4) view.setUint32(field.offset, Number(whole), true);
  else view.setBigUint64(field.offset, whole, true);
}

/**
 * Encodes a struct into stable memory: the given fields, zero everywhere else. Throws RangeError if a number is
 * negative, not an integer, or too large for its field; native code would silently receive a different number.
 */
export function encode<Layout extends StructLayout>(layout: Layout, values: FieldValues<Layout>): Memory {
  const memory = allocate(layout.size);
  const view = new DataView(memory.buffer);
  const { fields } = layout;
  for (const name of Object.keys(values)) {
    const value = values[name as FieldName<Layout>];
    if (value !== undefined) writeUnsigned(view, fieldOf(fields, name), value);
  }
  return memory;
}

/** Returns the first numbers of 32 bits in memory: spreading a typed array takes a hundred times as long, the first time. */
export function numbersIn(memory: Memory, count: number): number[] {
  const words = new Uint32Array(memory.buffer);
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push(words[i] as number);
  return found;
}

/** Reads the fields of a struct filled in by native code. A class, because a listing reads thousands. */
export class StructReader<Layout extends StructLayout> {
  readonly #fields: Layout["fields"];
  readonly #memory: Memory;
  readonly #view: DataView;

  constructor({ fields }: Layout, memory: Memory) {
    this.#fields = fields;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
  }

  u16(name: FieldName<Layout>): number {
    return this.#view.getUint16(fieldOf(this.#fields, name).offset, true);
  }

  u32(name: FieldName<Layout>): number {
    return this.#view.getUint32(fieldOf(this.#fields, name).offset, true);
  }

  u64(name: FieldName<Layout>): bigint {
    return this.#view.getBigUint64(fieldOf(this.#fields, name).offset, true);
  }

  /** A copy. */
  bytes(name: FieldName<Layout>): Uint8Array {
    const { offset, size } = fieldOf(this.#fields, name);
    return this.#memory.slice(offset, offset + size);
  }

  /** A char array, up to its NUL. */
  text(name: FieldName<Layout>): string {
    return textUntilNul(this.bytes(name));
  }

  /** A one-bit bitfield. */
  bit({ offset, mask }: { readonly offset: number; readonly mask: number }): boolean {
    return ((this.#memory[offset] ?? 0) & mask) !== 0;
  }
}

export const decode = <Layout extends StructLayout>(layout: Layout, memory: Memory): StructReader<Layout> =>
  new StructReader(layout, memory);
