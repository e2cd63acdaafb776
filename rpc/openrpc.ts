/**
 * The OpenRPC document (https://spec.open-rpc.org): every method with its params, result and errors. Params come from
 * the schemas that validate requests, results from the types of the answers (answers.schema.json, `bun run docs`).
 * OpenRPC has no server notifications; they are listed under `x-notifications`.
 */
import type { GenericSchema } from "valibot";
import { EVENTS_ALLOWED_MAX } from "../src/domain/limits.ts";
import type { ErrorKind } from "../src/errors/codes.ts";
import { OPERATIONS, type OperationName } from "../src/service/operations.ts";
import {
  type ClientNotifications,
  ERROR_NUMBERS,
  INVALID_PARAMS,
  type Method,
  NOT_INITIALIZED,
  type ServerNotification,
} from "./protocol.ts";
import { SESSION_SCHEMAS } from "./schemas.ts";

/** A JSON Schema, draft 7. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A param, or a result. */
export interface ContentDescriptor {
  readonly name: string;
  readonly required?: boolean;
  readonly schema: JsonSchema;
}
interface Reference {
  readonly $ref: string;
}
export interface OpenRpcMethod {
  readonly name: string;
  readonly summary: string;
  readonly paramStructure: "by-name";
  readonly params: readonly ContentDescriptor[];
  /** Absent for notifications. */
  readonly result?: ContentDescriptor;
  readonly errors?: readonly Reference[];
}
export interface OpenRpcNotification {
  readonly name: string;
  readonly summary: string;
  readonly schema: JsonSchema;
}
export interface OpenRpcDocument {
  readonly openrpc: "1.3.2";
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description: string;
    readonly license: { readonly name: string; readonly url: string };
  };
  readonly methods: readonly OpenRpcMethod[];
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly errors: Readonly<Record<string, JsonSchema>>;
  };
  readonly "x-notifications": readonly OpenRpcNotification[];
}

const METHODS: Readonly<Record<Method, string>> = {
  initialize: "Starts the session. Any request before it fails with -32002.",
  shutdown: "Finishes running requests and rejects later ones. Send the notification exit next.",
  "events/subscribe": "Subscribes to changes made by this session or any other process.",
  "events/unsubscribe": "Ends the subscription to changes.",
  "rpc.discover": "Returns this document.",
  "program/load": "Loads programs of one object: all that are named, or none.",
  "program/run":
    "Loads programs and attaches each of them: all, or none. Each takes those fields of attach that its kind has in link/attach.",
  "program/replace":
    "Puts the programs of a new object in the place of those that run, under the same links and with the same maps: all, or none.",
  "program/unload": "Detaches a program's links and unloads it.",
  "program/list": "Lists programs.",
  "program/get": "Returns everything about one program, with its maps and links.",
  "program/stats": "Counts runs of all or some programs for a while, and those of each member of a chain.",
  "program/delete": "Detaches and unloads one program or all; recursive includes programs that share its maps.",
  "link/attach": "Attaches a loaded program to a hook.",
  "link/detach": "Detaches a link from its hook.",
  "link/list": "Lists links.",
  "link/get": "Returns everything about one link.",
  "link/read": "Runs the program of an iterator link, and returns a page of what it writes.",
  "link/update": "Changes the priority of a live XDP or TC link, or the return values after which its chain continues.",
  "link/delete": "Detaches a link from its hook, and unloads its program if it has no other link.",
  "dispatcher/list": "Lists the hooks on which programs run in a chain.",
  "dispatcher/get": "Returns one chain with its members in order.",
  "dispatcher/delete": "Detaches a whole chain from its hook. Its programs stay loaded.",
  "image/pull": "Pulls an image from a registry, checks it, and caches it for later loads.",
  "image/list": "Returns the images in the cache, and which programs came from them.",
  "image/prune": "Removes images from the cache that no loaded program came from.",
  "image/inspect": "Returns what a registry says about an image, without pulling its layers.",
  "image/build": "Builds an image from object files, with or without a container file, and pushes it to a registry.",
  "image/generateBuildArgs": "Returns the build arguments of a container file, derived from object files.",
  "image/verify": "Checks the signatures of an image, and returns what each of them proves.",
  "object/check": "Says whether this kernel's verifier accepts programs, and what they cost it. Nothing stays loaded.",
  "object/inspect": "Returns what an object file or an image contains, read from its bytes alone.",
  "map/list": "Lists the maps of bpfman's programs, of one program, or of all.",
  "map/get": "Returns everything about one map, but its entries.",
  "map/dump": "Returns a page of a map's entries, and where the next page begins.",
  "map/lookup": "Returns one entry of a map, or the next value of a queue or stack, which stays there.",
  "map/update": "Writes one entry of a map.",
  "map/delete": "Removes one entry of a map.",
  "map/clear": "Removes all entries of a map; those of an array become zero.",
  "volume/publish":
    "Mounts a file system with pins of a program's maps on a directory, for a container that is to use them.",
  "volume/unpublish": "Unmounts and removes a published volume; the maps stay with their program.",
  metrics:
    "Returns counts and sizes of everything that bpfman keeps, for monitoring, and writes them to a file if wanted.",
  "map/events": "Reads what a program passes through a ring buffer or perf buffer, as it comes.",
  trace: "Reads what programs print with bpf_printk, as it comes.",
  "history/list": "Lists what was changed or failed to change: when, for whom, and with which result.",
  doctor: "Compares everything that is recorded with what is there, and returns what differs.",
  repair: "Repairs what doctor finds and can prove to be bpfman's; with dryRun, returns what it would do.",
  apply:
    "Makes the host match documents, each application completely or not at all; with dryRun, returns what it would do.",
  export: "Describes what is loaded and attached in a document, or writes that with the object files into a directory.",
  restore: "Loads and attaches again what was there before a reboot; what cannot come back is named, and waits.",
  complete: "Completes a value: interfaces, tracepoints, programs of an object file, and more.",
  version: "Returns the versions of bpfman, Bun, libbpf and the kernel, and the features of the kernel.",
};

const CLIENT_NOTIFICATIONS: Readonly<
  Record<keyof ClientNotifications, { readonly summary: string; readonly params: readonly ContentDescriptor[] }>
> = {
  initialized: { summary: "The client has received the answer to initialize.", params: [] },
  exit: { summary: "Ends the process, after shutdown.", params: [] },
  "$/cancelRequest": {
    summary: "Cancels a request, which then fails with -32800 and is undone, unless it has already finished.",
    params: [{ name: "id", required: true, schema: { type: ["integer", "string"] } }],
  },
  "stream/allow": {
    summary: "Takes that many more results of a request that was sent with that token in its stream.",
    params: [
      { name: "token", required: true, schema: { type: ["integer", "string"] } },
      { name: "credits", required: true, schema: { type: "integer", minimum: 0, maximum: EVENTS_ALLOWED_MAX } },
    ],
  },
  "$/setTrace": {
    summary: "Sets how much of the session's own activity $/logTrace reports.",
    params: [{ name: "value", required: true, schema: { enum: ["off", "messages", "compact", "verbose"] } }],
  },
};

const SERVER_NOTIFICATIONS: Readonly<Record<ServerNotification, string>> = {
  "program/didLoad": "A program was loaded.",
  "program/didUnload": "A program was unloaded.",
  "link/didAttach": "A program was attached.",
  "link/didUpdate": "The position or proceed-on values of a link in a chain changed.",
  "link/didDetach": "A link was detached.",
  "dispatcher/didChange": "A chain has a new revision, or was removed.",
  "events/didDrop": "The client read too slowly, and notifications were dropped.",
  "stream/didRead":
    "Results of a request that came with a stream, each for a credit, and how many were lost between them.",
  "$/progress": "Progress of a request that came with a workDoneToken.",
  "$/logTrace": "Activity of the session; see $/setTrace.",
};

const ERRORS: Readonly<Record<ErrorKind, string>> = {
  invalid: "the request is not valid",
  "not-found": "something named in the request does not exist",
  conflict: "conflict with the current state, or with another process",
  precondition: "the system lacks something that is required",
  permission: "the caller is not allowed to do that",
  unsupported: "this bpfman or this kernel cannot do that",
  unavailable: "a resource failed; retrying may help",
  cancelled: "the request was cancelled, and what it had done was undone",
  internal: "a bug in bpfman",
};
const ERROR_KINDS = Object.keys(ERRORS) as ErrorKind[];

const keysOf = <Key extends string>(table: Readonly<Record<Key, unknown>>): Key[] => Object.keys(table) as Key[];

/** Derives a method's params from the schema that validates them: the fields of an object. */
async function paramsOf(request: GenericSchema): Promise<ContentDescriptor[]> {
  const { toJsonSchema } = await import("@valibot/to-json-schema");
  // Tables are validated as plain objects first; the last schema of the pipe describes the shape. JSON Schema cannot
  // express what `check` adds, and `transform` only matters to the type checker.
  const converted = toJsonSchema(request, { typeMode: "output", ignoreActions: ["check", "transform"] });
  const { properties = {}, required = [] } = converted;
  return Object.entries(properties)
    .map(([name, schema]) => ({ name, required: required.includes(name), schema: schema as JsonSchema }))
    .sort((a, b) => Number(b.required) - Number(a.required));
}

async function requestSchema(method: Method): Promise<GenericSchema> {
  if (Object.hasOwn(SESSION_SCHEMAS, method)) return SESSION_SCHEMAS[method as keyof typeof SESSION_SCHEMAS];
  const { implementation } = await OPERATIONS[method as OperationName].module();
  return implementation.request;
}

async function methodOf(method: Method, results: Readonly<Record<Method, JsonSchema>>): Promise<OpenRpcMethod> {
  const params = await paramsOf(await requestSchema(method));
  const { streamParam, workDoneToken } = await import("./schemas.ts");
  const { toJsonSchema } = await import("@valibot/to-json-schema");
  const optional = (name: string, schema: GenericSchema): ContentDescriptor => {
    const { $schema: _, ...shape } = toJsonSchema(schema);
    return { name, required: false, schema: shape };
  };
  const isOperation = Object.hasOwn(OPERATIONS, method);
  const kinds = isOperation ? ERROR_KINDS : [];
  return {
    name: method,
    summary: METHODS[method],
    paramStructure: "by-name",
    params: [
      ...params,
      ...(isOperation ? [optional("workDoneToken", workDoneToken)] : []),
      ...(isOperation && "streams" in OPERATIONS[method as OperationName] ? [optional("stream", streamParam)] : []),
    ],
    result: { name: "result", schema: results[method] },
    errors: ["invalidParams", ...(method === "initialize" ? [] : ["notInitialized"]), ...kinds].map((name) => ({
      $ref: `#/components/errors/${name}`,
    })),
  };
}

function errorsOf(data: JsonSchema): Record<string, JsonSchema> {
  const kinds = ERROR_KINDS.map((kind) => [kind, { code: ERROR_NUMBERS[kind], message: ERRORS[kind], data }] as const);
  return {
    invalidParams: { code: INVALID_PARAMS, message: "a param has a wrong type or value; details.field names it", data },
    notInitialized: { code: NOT_INITIALIZED, message: "the first request must be initialize" },
    ...Object.fromEntries(kinds),
  };
}

/** Builds the document. Needs neither root nor libbpf. */
export async function openRpcDocument(version: string): Promise<OpenRpcDocument> {
  const { default: answers } = await import("./answers.schema.json", { with: { type: "json" } });
  const methods: OpenRpcMethod[] = [];
  for (const method of keysOf(METHODS)) methods.push(await methodOf(method, answers.results));
  for (const name of keysOf(CLIENT_NOTIFICATIONS)) {
    methods.push({ name, paramStructure: "by-name", ...CLIENT_NOTIFICATIONS[name] });
  }
  return {
    openrpc: "1.3.2",
    info: {
      title: "bpfman",
      version,
      description:
        "Loads, attaches, chains and keeps track of eBPF programs. JSON-RPC 2.0 over stdio, framed as in LSP.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    methods,
    components: { schemas: answers.schemas, errors: errorsOf(answers.error) },
    "x-notifications": keysOf(SERVER_NOTIFICATIONS).map((name) => ({
      name,
      summary: SERVER_NOTIFICATIONS[name],
      schema: answers.notifications[name],
    })),
  };
}
