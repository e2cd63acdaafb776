/**
 * What bpfman-operator's agent needs besides answers. It asks again at once for what has just failed, a hundred times in ten
 * seconds. When one program of an application has gone, it loads all of them again, and leaves the others. And it takes for
 * gone what it could not ask for: when the daemon restarts, it loads what is there.
 */
import type { ProgramRecordAnswer } from "../domain/answer.ts";
import { FAILED_LOADS_MAX, FAILED_LOAD_MS } from "../domain/limits.ts";
import { UUID_KEY } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Answers, OperationName } from "../service/operations.ts";
import type { Run } from "./bpfman-v1.ts";
import type { Call } from "./server.ts";

interface Failure {
  readonly error: BpfmanError;
  /** In milliseconds of `now`. */
  readonly until: number;
}

/** The parts of a request that say what is to be there. */
interface Wanted {
  readonly source?: { readonly file?: string; readonly image?: { readonly url: string } };
  readonly programs: readonly { readonly type: string; readonly name: string; readonly attachFunction?: string }[];
  readonly globalData: Readonly<Record<string, { readonly base64: string }>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly mapOwnerId: number | null;
}

/** Says for a while what became of a load that failed, and unloads what a load takes the place of. */
export function forAgent(run: Run, now: () => number = () => performance.now()): Run {
  /** By what was asked for, the oldest first. */
  const failures = new Map<string, Failure>();

  async function load(request: unknown, call: Call): Promise<Answers["program/load"]> {
    // It may hold a password.
    const key = new Bun.CryptoHasher("sha256").update(JSON.stringify(request)).digest("hex");
    const known = failures.get(key);
    if (known !== undefined && known.until > now()) throw known.error;
    failures.delete(key);
    try {
      const there = await alreadyLoaded(request as Wanted, call);
      if (there !== null) return there;
      return await run("program/load", { ...(request as object), supersede: true }, call);
    } catch (thrown) {
      if (thrown instanceof BpfmanError && thrown.kind !== "cancelled") {
        failures.set(key, { error: thrown, until: now() + FAILED_LOAD_MS });
        const [oldest] = failures.keys();
        if (failures.size > FAILED_LOADS_MAX && oldest !== undefined) failures.delete(oldest);
      }
      throw thrown;
    }
  }

  /** The programs of an application, if just these are there, and came from the same; else null. */
  async function alreadyLoaded(wanted: Wanted, call: Call): Promise<Answers["program/load"] | null> {
    const { metadata, programs: names } = wanted;
    if (metadata?.[UUID_KEY] === undefined) return null;
    const { programs } = await run("program/list", { metadataSelector: metadata }, call);
    const found = names.map((name) =>
      programs.find(
        ({ record, state, kernel }) =>
          state === null && kernel !== null && record !== null && isWanted(record, wanted, name),
      ),
    );
    if (programs.length !== names.length || !found.every((each) => each !== undefined)) return null;
    return {
      programs: await Promise.all(found.map(({ program_id: programId }) => run("program/get", { programId }, call))),
    };
  }

  return <Name extends OperationName>(name: Name, request: unknown, call: Call): Promise<Answers[Name]> =>
    name === "program/load" ? (load(request, call) as Promise<Answers[Name]>) : run(name, request, call);
}

function isWanted(
  { load, meta }: ProgramRecordAnswer,
  { source, globalData, metadata, mapOwnerId }: Wanted,
  { type, name, attachFunction }: Wanted["programs"][number],
): boolean {
  const from =
    source?.image === undefined ? load.source_path === source?.file : load.image_source?.url === source.image.url;
  const globals = Object.entries(globalData).map(([variable, { base64 }]) => [variable, base64]);
  return (
    from &&
    load.program_name === name &&
    // bpfman.v1 has one number for a probe and its return probe.
    load.program_type.replace("ret", "") === type &&
    (attachFunction === undefined || load.attach_func === attachFunction) &&
    mapOwnerId === null &&
    Bun.deepEquals(Object.fromEntries(globals), load.global_data) &&
    Bun.deepEquals(metadata, meta.metadata)
  );
}
