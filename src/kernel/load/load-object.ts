import { KINDS, kernelTypeOf } from "../../domain/kinds.ts";
import {
  type BpfMap,
  type BpfObject,
  type BpfProgram,
  learnSection,
  type LogDetail,
  openObject,
} from "../../../ffi/safe/bpf-object.ts";
import { withObject } from "../../../ffi/safe/bpf.ts";
import { collectMessages } from "../../../ffi/safe/libbpf.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { LogBuffer } from "../../../ffi/safe/log-buffer.ts";
import { mapInfo } from "../../../ffi/safe/object-info.ts";
import { mapId } from "../../domain/ids.ts";
import { VERIFIER_LOG_BYTES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type {
  LoadedMap,
  LoadedObject,
  MapToReuse,
  ObjectToLoad,
  ProgramToLoad,
  ProgramToVerify,
} from "../../platform/kernel.ts";
import { pin, withPinned } from "../pin.ts";
import { readProgram } from "../read-info.ts";

/** Loads the named programs. Throws VERIFIER_REJECTED, KERNEL_REFUSED, LOAD_FAILED, LIBBPF_MISSING and the like. */
export function load(object: ObjectToLoad): LoadedObject {
  const first = tryToLoad({ object, detail: "whole" });
  if (first.loaded !== null) return first.loaded;
  const { isWhole } = require("../../errors/verifier-log.ts") as typeof import("../../errors/verifier-log.ts");
  const { loadFailure } = require("../explain/load-failure.ts") as typeof import("../explain/load-failure.ts");
  let { log } = first;
  if (sysFailure(first.thrown)?.name === "ENOSPC" && !isWhole(log)) {
    // Linux before 6.4 keeps the beginning of the log and drops its end, which has the reason.
    const second = tryToLoad({ object, detail: "brief" });
    second.loaded?.close();
    log = `${log.trimEnd()}\n… (longer than the kernel's limit)\n${second.log}`;
  }
  // Newer kernels keep the end.
  if (log.length >= VERIFIER_LOG_BYTES_MAX - 1) log = `… (longer than the kernel's limit)\n${log}`;
  const programs = allPrograms(object);
  throw loadFailure(first.thrown, { ...object, object: object.name, programs, messages: first.messages, log });
}

const allPrograms = ({ programs, alongside }: ObjectToLoad): ProgramToLoad[] => [...programs, ...alongside];

/** `loaded` is null if `thrown` was thrown. */
interface Outcome {
  readonly loaded: LoadedObject | null;
  readonly thrown: unknown;
  /** libbpf's warnings. */
  readonly messages: readonly string[];
  readonly log: string;
}

function tryToLoad({ object, detail }: { object: ObjectToLoad; detail: LogDetail }): Outcome {
  const messages: string[] = [];
  // libbpf only writes the log when a program is rejected, and stops there, so all programs can share one buffer.
  let log: LogBuffer | undefined;
  let opened: BpfObject | undefined;
  const held: number[] = [];
  try {
    const loaded = collectMessages(messages, () => {
      learnSections(allPrograms(object));
      opened = openObject(object.bytes, libbpfName(object.name));
      log = new LogBuffer(VERIFIER_LOG_BYTES_MAX);
      const programs = configure(opened, { object, log, detail, held });
      // Afterwards, a reused map has the kernel's truncated name.
      opened.load();
      return loadedObject(opened, programs, object);
    });
    return { loaded, thrown: null, messages, log: "" };
  } catch (thrown) {
    opened?.close();
    return { loaded: null, thrown, messages, log: log?.text() ?? "" };
  } finally {
    log?.free();
    held.forEach(closeFd);
  }
}

/**
 * Tells libbpf before 1.3 which programs `struct_ops.s` has: it checks them when it opens an object, before a type can be set.
 */
export function learnSections(programs: readonly ProgramToVerify[]): void {
  if (programs.some(({ type }) => type === "struct_ops")) learnSection("struct_ops.s+", "STRUCT_OPS");
}

/** Internal maps are named after the object. Without dots in that name, the first dot starts the section name. */
export const libbpfName = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, "_") || "object";

interface Settings {
  readonly object: ObjectToLoad;
  readonly log: LogBuffer;
  readonly detail: LogDetail;
  readonly held: number[];
}

/** Returns the programs to load, by name. */
function configure(opened: BpfObject, { object, log, detail, held }: Settings): ReadonlyMap<string, BpfProgram> {
  const wanted = allPrograms(object);
  const programs = opened.select(wanted.map(({ name }) => name));
  for (const settings of wanted) {
    const program = programs.get(settings.name);
    if (program === undefined) throw notFound(object.name, settings.name);
    program.setLog(log, detail);
    setType(program, settings, held);
  }
  configureMaps(opened, object);
  return programs;
}

export const notFound = (object: string, name: string): BpfmanError =>
  new BpfmanError("FUNCTION_NOT_FOUND", `load object "${object}": libbpf finds no program "${name}" in it`);

/** Throws INVALID_GLOBAL and the like. */
export function configureMaps(opened: BpfObject, object: Omit<ObjectToLoad, "programs" | "alongside">): void {
  for (const map of opened.maps) {
    map.clearPinPath();
    if (object.unusedMaps?.has(map.name) === true) map.leaveOut();
    const entries = object.maxEntries?.get(map.name);
    if (entries !== undefined) map.setMaxEntries(entries);
    if (object.structs?.get(map.name)?.linked === true) map.setFlag("link");
  }
  for (const global of object.globals) writeGlobal(opened.maps, global);
  for (const [name, there] of object.reuse) reuse(opened.maps, name, there);
}

/**
 * `held` receives the descriptors that are to stay open until the program is loaded. Throws SYMBOL_NOT_FOUND for a function
 * that this kernel or program does not have.
 */
export function setType(program: BpfProgram, settings: ProgramToVerify, held: number[]): void {
  if (settings.type === null) return;
  const { type, expectedAttachType, sleepable } = kernelTypeOf(KINDS[settings.type], program.section);
  program.setType(type, expectedAttachType);
  if (sleepable) program.setFlag("sleepable");
  if (settings.type === "freplace") {
    const { openTarget } = require("./program-target.ts") as typeof import("./program-target.ts");
    held.push(openTarget(program, settings));
    return;
  }
  if (settings.attachFunction === null) return;
  const { setKernelTarget } = require("./kernel-target.ts") as typeof import("./kernel-target.ts");
  setKernelTarget(program, settings.type, settings.attachFunction);
}

/** Returns `.rodata` for `NAME.rodata`; longer section names are kept whole: `.rodata.config`. */
export const sectionOf = (map: BpfMap): string => map.name.slice(Math.max(0, map.name.indexOf(".")));

function writeGlobal(maps: readonly BpfMap[], global: ObjectToLoad["globals"][number]): void {
  const map = maps.find((candidate) => candidate.internal && sectionOf(candidate) === global.section);
  try {
    if (map === undefined) throw new RangeError("libbpf made no map for it");
    map.writeInitialValue(global.offset, global.bytes);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new BpfmanError(
      "INVALID_GLOBAL",
      `write a global variable of section "${global.section}": ${thrown.message}`,
    );
  }
}

function reuse(maps: readonly BpfMap[], name: string, there: MapToReuse): void {
  const map = maps.find((candidate) => candidate.name === name);
  const action = `share map "${name}"`;
  if (map === undefined) throw new BpfmanError("LOAD_FAILED", `${action}: libbpf finds no such map in the object`);
  const { path, id } = there;
  if (path !== null) withPinned(action, { ...there, path }, (fd) => map.reuse(fd));
  else if (withObject("map", id, (fd) => map.reuse(fd)) === null) {
    throw new BpfmanError("STATE_CONFLICT", `${action}: map ${id} has gone`, { details: { map_id: id } });
  }
}

function loadedObject(
  opened: BpfObject,
  selected: ReadonlyMap<string, BpfProgram>,
  object: ObjectToLoad,
): LoadedObject {
  const loadedOf = ({ name }: ProgramToLoad) => {
    const fd = (selected.get(name) as BpfProgram).fd();
    return { name, fd, kernel: readProgram(fd) };
  };
  const asked = object.programs.map(loadedOf);
  const alongside = object.alongside.map(loadedOf);
  const programs = [...asked, ...alongside];
  const used = new Set(programs.flatMap((program) => program.kernel.mapIds));
  const maps = opened.maps.flatMap((map): (LoadedMap & { readonly fd: number })[] => {
    const fd = map.fd();
    if (fd === null) return [];
    const id = mapId(mapInfo(fd).id);
    // Maps behind global variables have no name to be found by.
    if (map.internal && !used.has(id)) return [];
    const name = map.internal ? sectionOf(map) : map.name;
    return [{ name, id, internal: map.internal, reused: object.reuse.has(map.name), fd }];
  });
  const fdOf = (
    kind: string,
    list: readonly { readonly name: string; readonly fd: number }[],
    name: string,
  ): number => {
    const found = list.find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`the object has no loaded ${kind} "${name}"`);
    return found.fd;
  };
  return {
    programs: asked,
    alongside,
    maps: maps.map(({ name, id, internal, reused }) => ({ name, id, internal, reused })),
    pinProgram: (name, path) => pin(`program "${name}"`, fdOf("program", programs, name), path),
    pinMap: (name, path) => pin(`map "${name}"`, fdOf("map", maps, name), path),
    close: () => opened.close(),
  };
}
