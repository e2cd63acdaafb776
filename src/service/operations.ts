/**
 * The operations table: every public verb, once. The command line and the JSON-RPC server both use it, and a test
 * iterates over it. Modules are loaded on call, so that a command only pays for what it does.
 */
import type { GenericSchema, InferInput } from "valibot";
import type {
  ApplyAnswer,
  CompleteAnswer,
  DeleteAnswer,
  DeleteDispatcherAnswer,
  DetachAnswer,
  DispatcherDetailAnswer,
  DispatcherListAnswer,
  HistoryAnswer,
  DoctorAnswer,
  ExportAnswer,
  LinkAnswer,
  LinkListAnswer,
  LinkReadAnswer,
  LoadAnswer,
  RunAnswer,
  MapChangeAnswer,
  MapDumpAnswer,
  MapEventsAnswer,
  MapListAnswer,
  MapLookupAnswer,
  MapStatusAnswer,
  ProgramAnswer,
  ProgramListAnswer,
  RepairAnswer,
  RestoreAnswer,
  ReplaceAnswer,
  TraceAnswer,
  UnloadAnswer,
  VersionAnswer,
  VolumeAnswer,
  VolumeRemovalAnswer,
} from "../domain/answer.ts";
import type { CheckAnswer } from "../domain/check-answer.ts";
import type { MetricsAnswer, StatsAnswer } from "../domain/stats-answer.ts";
import type { ObjectInspectAnswer } from "../domain/inspect-answer.ts";
import type {
  BuildArgsAnswer,
  ImageBuildAnswer,
  ImageInspectAnswer,
  ImageListAnswer,
  ImagePruneAnswer,
  ImagePullAnswer,
  ImageVerifyAnswer,
} from "../domain/image-answer.ts";

/**
 * `read` takes no lock and changes nothing that is recorded (`image/prune` removes files of the cache); `trial` as well, but may be inside one system call for long; `write` runs exclusively, under the writer lock; `images` has registries
 * and the image cache; `build` has files, registries and container tools; `none` opens nothing. `images` and `build`
 * have neither kernel nor database.
 */
export type Access = "read" | "trial" | "write" | "images" | "build" | "none";

interface Row {
  readonly access: Access;
  /**
   * What it takes before anything is opened. Kinds, namespaces and mounts can take more, which the operation asks for
   * when it knows them (`requireCapabilities` in service/operation.ts).
   */
  readonly privilege: "CAP_BPF" | "none";
  /** It removes things, so it may take the space that is kept for when the disk is full. */
  readonly removes?: true;
  /** It goes on until it is ended, and its results can be taken one by one (`Sink` in service/operation.ts). */
  readonly streams?: true;
  /** Only other programs want it: no command asks for it. */
  readonly hasNoCommand?: true;
  /** Loads the implementation (service/operation.ts). */
  readonly module: () => Promise<{ readonly implementation: unknown }>;
}

export const OPERATIONS = {
  "program/load": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/load.ts") },
  "program/run": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/run.ts") },
  "program/replace": {
    access: "write",
    privilege: "CAP_BPF",
    module: () => import("./operations/replace-program.ts"),
  },
  "program/unload": {
    access: "write",
    privilege: "CAP_BPF",
    removes: true,
    module: () => import("./operations/unload.ts"),
  },
  "program/list": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/list-programs.ts") },
  "program/get": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/get-program.ts") },
  "program/stats": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/stats.ts") },
  "program/delete": {
    access: "write",
    privilege: "CAP_BPF",
    removes: true,
    module: () => import("./operations/delete-program.ts"),
  },
  "link/attach": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/attach.ts") },
  "link/detach": {
    access: "write",
    privilege: "CAP_BPF",
    removes: true,
    module: () => import("./operations/detach.ts"),
  },
  "link/list": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/list-links.ts") },
  "link/get": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/get-link.ts") },
  "link/read": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/read-link.ts") },
  "link/update": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/update-link.ts") },
  "link/delete": {
    access: "write",
    privilege: "CAP_BPF",
    removes: true,
    module: () => import("./operations/delete-link.ts"),
  },
  "dispatcher/list": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/list-dispatchers.ts") },
  "dispatcher/get": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/get-dispatcher.ts") },
  "image/build": { access: "build", privilege: "none", module: () => import("./operations/build-image.ts") },
  "image/generateBuildArgs": {
    access: "build",
    privilege: "none",
    module: () => import("./operations/generate-build-args.ts"),
  },
  "image/pull": { access: "images", privilege: "none", module: () => import("./operations/pull-image.ts") },
  "image/list": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/list-images.ts") },
  "image/prune": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/prune-images.ts") },
  "image/inspect": { access: "images", privilege: "none", module: () => import("./operations/inspect-image.ts") },
  "image/verify": { access: "images", privilege: "none", module: () => import("./operations/verify-image.ts") },
  "dispatcher/delete": {
    access: "write",
    privilege: "CAP_BPF",
    removes: true,
    module: () => import("./operations/delete-dispatcher.ts"),
  },
  "object/check": { access: "trial", privilege: "CAP_BPF", module: () => import("./operations/check.ts") },
  "object/inspect": { access: "read", privilege: "none", module: () => import("./operations/inspect-object.ts") },
  "map/list": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/list-maps.ts") },
  "map/get": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/get-map.ts") },
  "map/dump": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/dump-map.ts") },
  "map/lookup": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/lookup-map.ts") },
  "map/update": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/update-map.ts") },
  "map/delete": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/delete-entry.ts") },
  "map/clear": { access: "write", privilege: "CAP_BPF", module: () => import("./operations/clear-map.ts") },
  "volume/publish": {
    access: "write",
    privilege: "CAP_BPF",
    hasNoCommand: true,
    module: () => import("./operations/publish-volume.ts"),
  },
  "volume/unpublish": {
    access: "write",
    privilege: "CAP_BPF",
    removes: true,
    hasNoCommand: true,
    module: () => import("./operations/unpublish-volume.ts"),
  },
  metrics: { access: "read", privilege: "CAP_BPF", module: () => import("./operations/metrics.ts") },
  "map/events": {
    access: "read",
    privilege: "CAP_BPF",
    streams: true,
    module: () => import("./operations/follow-events.ts"),
  },
  trace: { access: "read", privilege: "CAP_BPF", streams: true, module: () => import("./operations/trace.ts") },
  "history/list": { access: "read", privilege: "CAP_BPF", module: () => import("./operations/list-history.ts") },
  doctor: { access: "read", privilege: "CAP_BPF", module: () => import("./operations/doctor.ts") },
  repair: { access: "write", privilege: "CAP_BPF", module: () => import("./operations/repair.ts") },
  apply: { access: "write", privilege: "CAP_BPF", module: () => import("./operations/apply.ts") },
  export: { access: "read", privilege: "CAP_BPF", module: () => import("./operations/export.ts") },
  restore: { access: "write", privilege: "CAP_BPF", module: () => import("./operations/restore.ts") },
  complete: { access: "read", privilege: "none", module: () => import("./operations/complete.ts") },
  version: { access: "none", privilege: "none", module: () => import("./operations/version.ts") },
} as const satisfies Record<string, Row>;

/** Whether a process can do nothing else while it runs such an operation. A session runs them one at a time, in order. */
export const isExclusive = (access: Access): boolean => access === "write" || access === "trial";

export type OperationName = keyof typeof OPERATIONS;

/** The answer of each operation. */
export interface Answers {
  "program/load": LoadAnswer;
  "program/run": RunAnswer;
  "program/replace": ReplaceAnswer;
  "program/unload": UnloadAnswer;
  "program/list": ProgramListAnswer;
  "program/get": ProgramAnswer;
  "program/stats": StatsAnswer;
  "program/delete": DeleteAnswer;
  "link/attach": LinkAnswer;
  "link/detach": DetachAnswer;
  "link/list": LinkListAnswer;
  "link/get": LinkAnswer;
  "link/read": LinkReadAnswer;
  "link/update": LinkAnswer;
  "link/delete": DeleteAnswer;
  "dispatcher/list": DispatcherListAnswer;
  "dispatcher/get": DispatcherDetailAnswer;
  "image/build": ImageBuildAnswer;
  "image/generateBuildArgs": BuildArgsAnswer;
  "image/pull": ImagePullAnswer;
  "image/list": ImageListAnswer;
  "image/prune": ImagePruneAnswer;
  "image/inspect": ImageInspectAnswer;
  "image/verify": ImageVerifyAnswer;
  "dispatcher/delete": DeleteDispatcherAnswer;
  "object/check": CheckAnswer;
  "object/inspect": ObjectInspectAnswer;
  "map/list": MapListAnswer;
  "map/get": MapStatusAnswer;
  "map/dump": MapDumpAnswer;
  "map/lookup": MapLookupAnswer;
  "map/update": MapChangeAnswer;
  "map/delete": MapChangeAnswer;
  "map/clear": MapChangeAnswer;
  "volume/publish": VolumeAnswer;
  "volume/unpublish": VolumeRemovalAnswer;
  metrics: MetricsAnswer;
  "map/events": MapEventsAnswer;
  trace: TraceAnswer;
  "history/list": HistoryAnswer;
  doctor: DoctorAnswer;
  repair: RepairAnswer;
  apply: ApplyAnswer;
  export: ExportAnswer;
  restore: RestoreAnswer;
  complete: CompleteAnswer;
  version: VersionAnswer;
}

type Implementation<Name extends OperationName> = Awaited<
  ReturnType<(typeof OPERATIONS)[Name]["module"]>
>["implementation"];

/** The request of each operation, before defaults are applied. */
export type Requests = {
  [Name in OperationName]: Implementation<Name> extends { readonly request: infer Schema extends GenericSchema }
    ? InferInput<Schema>
    : never;
};
