/** The targets of programs that are yet to be loaded: from what was given, and from what their sections say. */
import { object } from "valibot";
import { type AttachKind, factsOf, sectionParts } from "../../domain/kinds.ts";
import type { ProgramSpec } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { NameOf } from "../operation.ts";
import { parseRequest } from "../parse-request.ts";
import { type AttachTarget, targetOfKind } from "../requests/attach-request.ts";

/** Fields of targets, without the kind. */
export type GivenTarget = Readonly<Record<string, unknown>>;

/**
 * Returns a target for each program: each takes those of the fields that its kind has. Throws INVALID_ATTACH for a field that
 * none of them takes, or that one of them lacks, PROGRAM_TYPE_MISMATCH for one that is only loaded, INVALID_REQUEST.
 */
export function targetsFor(specs: readonly ProgramSpec[], given: GivenTarget, nameOf?: NameOf): AttachTarget[] {
  const fields = Object.entries(given).filter(([, value]) => value !== null && value !== undefined);
  const targets = specs.map((spec) => {
    const kind = kindOf(spec);
    const schema = fieldsOf(kind);
    const own = Object.fromEntries(fields.filter(([name]) => Object.hasOwn(schema, name)));
    const asked: GivenTarget = { ...targetInSection(kind, spec.section), ...own };
    const missing = Object.keys(schema).filter((name) => isRequired(schema, name) && !Object.hasOwn(asked, name));
    if (missing.length > 0) throw lacking(spec, missing);
    return parseRequest(object({ attach: targetOfKind(kind) }), { attach: { kind, ...asked } }, nameOf).attach;
  });
  const unused = fields.find(([name]) => !targets.some(({ kind }) => Object.hasOwn(fieldsOf(kind), name)))?.[0];
  if (unused !== undefined) throw superfluous(specs, unused);
  return targets;
}

function kindOf({ name, type }: ProgramSpec): AttachKind {
  const { attachKind, display, loadOnly } = factsOf(type);
  if (loadOnly === null) return attachKind as AttachKind;
  throw new BpfmanError(
    "PROGRAM_TYPE_MISMATCH",
    `program "${name}" is ${display} program, which bpfman only loads and pins`,
    { details: { program: name, type }, hint: 'load it with "bpfman load file", which tells how it is run' },
  );
}

type TargetSchema = Readonly<Record<string, { readonly type: string }>>;

function fieldsOf(kind: AttachKind): TargetSchema {
  const { kind: _, ...fields } = targetOfKind(kind).entries;
  return fields;
}

const isRequired = (schema: TargetSchema, name: string): boolean => schema[name]?.type !== "optional";

/** `--fn-name` for fnName. `--map` names a map that the object is to use. */
const optionFor = (name: string): string =>
  name === "map" ? "--visited-map" : `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** `iface, priority and direction`. */
const listed = (words: readonly string[]): string => words.join(", ").replace(/, ([^,]*)$/, " and $1");

function lacking({ name, type }: ProgramSpec, missing: readonly string[]): BpfmanError {
  const options = missing.map((each) => `${optionFor(each)} ${optionFor(each).slice(2).toUpperCase()}`);
  return new BpfmanError(
    "INVALID_ATTACH",
    `program "${name}" is ${factsOf(type).display} program: to attach it, ${listed(missing)} must be given`,
    { details: { program: name, type, missing }, hint: `add ${options.join(" ")}` },
  );
}

function superfluous(specs: readonly ProgramSpec[], field: string): BpfmanError {
  const kinds = [...new Set(specs.map(({ type }) => factsOf(type).display))];
  const takes = [...new Set(specs.flatMap((spec) => Object.keys(fieldsOf(kindOf(spec)))))];
  return new BpfmanError("INVALID_ATTACH", `attaching ${kinds.join(" and ")} program takes no ${optionFor(field)}`, {
    details: { field, takes },
    hint: takes.length === 0 ? "leave it out" : `it takes ${takes.map(optionFor).join(", ")}`,
  });
}

/** What a section says of the place where its program is to be attached, as libbpf reads it. */
function targetInSection(kind: AttachKind, section: string): GivenTarget {
  const { head, target } = sectionParts(section);
  if (target === null) return {};
  switch (kind) {
    case "tracepoint":
    case "raw_tp":
      return { tracepoint: target };
    case "kprobe":
      // What a system call is called inside the kernel depends on the machine.
      return head.endsWith("syscall") ? {} : { fnName: target };
    case "kprobe.multi":
      return { fnName: target };
    case "uprobe":
    case "uprobe.multi": {
      const [, file, fnName, offset] = /^(.+):([^:+]+)(?:\+(0x[0-9a-f]{1,8}|[0-9]{1,9}))?$/i.exec(target) ?? [];
      if (file === undefined) return {};
      return { target: file, fnName, ...(offset === undefined ? {} : { offset: Number(offset) }) };
    }
    default:
      return {};
  }
}
