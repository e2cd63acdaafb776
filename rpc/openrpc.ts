/**
 * The OpenRPC document (https://spec.open-rpc.org): every method with its params, result and errors. Params come from
 * the schemas that validate requests, results from the types of the answers (answers.schema.json, `bun run docs`).
 * OpenRPC has no server notifications; they are listed under `x-notifications`.
 */
import type { GenericSchema } from "valibot";
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
  initialize: "Begins the session. Every other request before it is refused with -32002.",
  shutdown: "Ends the work: requests that run are finished, later ones refused. Then send the notification exit.",
  "events/subscribe": "Asks for notifications of changes, made by this session and by any other process.",
  "events/unsubscribe": "No more notifications of changes.",
  "rpc.discover": "Answers this document.",
  "program/load": "Loads programs of one object: all that are named, or none.",
  "program/unload": "Detaches a program's links and unloads it.",
  "program/list": "Lists programs.",
  "program/get": "Answers everything about one program, with its maps and links.",
  "program/delete": "Detaches and unloads a program, or all, and with recursive those that use its maps.",
  "link/attach": "Attaches a loaded program to a hook.",
  "link/detach": "Takes a link off its hook.",
  "link/list": "Lists links.",
  "link/get": "Answers everything about one link.",
  "link/update": "Changes the priority of a live XDP or TC link, or after which return values its chain goes on.",
  "link/delete": "Takes a link off its hook, and unloads its program when that was its last.",
  "dispatcher/list": "Lists the hooks on which several programs run in a chain.",
  "dispatcher/get": "Answers one chain with its members in order.",
  "dispatcher/delete": "Takes a whole chain off its hook. Its programs stay loaded.",
  "image/pull": "Fetches an image from a registry, checks it, and keeps it for later loads.",
  "image/inspect": "Answers what a registry says of an image, without fetching its layers.",
  "image/build": "Makes an image of object files, with or without a container file, and pushes it to a registry.",
  "image/generateBuildArgs": "Answers the build arguments of a container file, as they follow from object files.",
  "image/verify": "Checks the signatures of an image, and answers what each of them proves.",
  complete: "Answers what may stand at a place: interfaces, tracepoints, programs of an object file, and more.",
  version: "Answers the versions of bpfman, Bun, libbpf and the kernel, and what the kernel can do.",
};

const CLIENT_NOTIFICATIONS: Readonly<
  Record<keyof ClientNotifications, { readonly summary: string; readonly params: readonly ContentDescriptor[] }>
> = {
  initialized: { summary: "The client has the answer to initialize.", params: [] },
  exit: { summary: "Ends the process. Comes after shutdown.", params: [] },
  "$/cancelRequest": {
    summary: "Cancels a request. It is answered with -32800 and leaves nothing, unless it was done already.",
    params: [{ name: "id", required: true, schema: { type: ["integer", "string"] } }],
  },
  "$/setTrace": {
    summary: "How much of the session's own doings is told with $/logTrace.",
    params: [{ name: "value", required: true, schema: { enum: ["off", "messages", "compact", "verbose"] } }],
  },
};

const SERVER_NOTIFICATIONS: Readonly<Record<ServerNotification, string>> = {
  "program/didLoad": "A program was loaded.",
  "program/didUnload": "A program was unloaded.",
  "link/didAttach": "A program was attached.",
  "link/didUpdate": "A link changed its place or its conditions in a chain.",
  "link/didDetach": "A link was taken off its hook.",
  "dispatcher/didChange": "A chain has a new revision, or has gone.",
  "events/didDrop": "The client did not read, and notifications were dropped.",
  "$/progress": "How far a request is that came with a workDoneToken.",
  "$/logTrace": "What the session does; see $/setTrace.",
};

const ERRORS: Readonly<Record<ErrorKind, string>> = {
  invalid: "the request cannot be carried out as it is",
  "not-found": "something named in the request is not there",
  conflict: "it does not fit what is there now, or somebody else is at it",
  precondition: "the system lacks something that is needed",
  permission: "the caller may not do that",
  unsupported: "this bpfman or this kernel cannot do that",
  unavailable: "a resource failed; trying again may help",
  cancelled: "the request was cancelled, and what it had begun was undone",
  internal: "a mistake in bpfman",
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
  const { workDoneToken } = await import("./schemas.ts");
  const { toJsonSchema } = await import("@valibot/to-json-schema");
  const { $schema: _, ...token } = toJsonSchema(workDoneToken);
  const isOperation = Object.hasOwn(OPERATIONS, method);
  const kinds = isOperation ? ERROR_KINDS : [];
  return {
    name: method,
    summary: METHODS[method],
    paramStructure: "by-name",
    params: isOperation ? [...params, { name: "workDoneToken", required: false, schema: token }] : params,
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
      description: "Loads, attaches, chains and remembers eBPF programs. JSON-RPC 2.0 over stdio, framed as in LSP.",
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
