/**
 * As much of a Kubernetes API server as bpfman-agent needs: discovery, and create, get, list, watch, update and delete of
 * the resources below, with status as a subresource, conflicts, finalizers, and deletion of what an owner leaves behind.
 * A process of its own, on loopback of the network namespace that it is started in:
 *
 *     bun test/fleet/api-server.ts CERTIFICATE KEY TOKEN SOCKET
 *
 * It serves HTTPS on 127.0.0.1:6443 to those who send TOKEN, and plain HTTP on SOCKET, where tests ask for the same.
 */

interface ApiObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    labels?: Readonly<Record<string, string>>;
    finalizers?: readonly string[];
    ownerReferences?: readonly { readonly uid: string }[];
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
  };
  spec?: { readonly nodeName?: string };
  status?: unknown;
}

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const BPFMAN = "bpfman.io/v1alpha1";
const RESOURCES: Readonly<Record<string, readonly Resource[]>> = {
  v1: [
    { name: "nodes", kind: "Node", namespaced: false },
    { name: "pods", kind: "Pod", namespaced: true },
    { name: "secrets", kind: "Secret", namespaced: true },
  ],
  [BPFMAN]: [
    { name: "clusterbpfapplications", kind: "ClusterBpfApplication", namespaced: false },
    { name: "clusterbpfapplicationstates", kind: "ClusterBpfApplicationState", namespaced: false },
    { name: "bpfapplications", kind: "BpfApplication", namespaced: true },
    { name: "bpfapplicationstates", kind: "BpfApplicationState", namespaced: true },
  ],
};

/** A resource, and which of its objects a request is for. */
interface Place {
  readonly version: string;
  readonly resource: Resource;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly isStatus: boolean;
}

interface Watcher {
  readonly place: Place;
  readonly query: URLSearchParams;
  send(line: string): void;
}

/** What happened to an object; its revision is the one that the object then has. */
interface Change {
  readonly key: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: ApiObject;
  readonly revision: number;
}

const objects = new Map<string, ApiObject>();
const watchers = new Set<Watcher>();
const changes: Change[] = [];

const keyOf = ({ resource }: Place, { metadata }: ApiObject): string =>
  `${resource.name}/${metadata.namespace ?? ""}/${metadata.name}`;

function placeOf(path: string): Place | null {
  const found =
    /^\/(?:api\/(v1)|apis\/(bpfman\.io\/v1alpha1))(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?(\/status)?$/.exec(
      path,
    );
  const [, core, group, namespace, plural, name, status] = found ?? [];
  const version = core ?? group ?? "";
  const resource = RESOURCES[version]?.find((each) => each.name === plural);
  if (resource === undefined) return null;
  return { version, resource, namespace: namespace ?? null, name: name ?? null, isStatus: status !== undefined };
}

/** Selectors as client-go writes them for equality: `a=b,c=d`. */
function isSelected({ metadata, spec }: ApiObject, query: URLSearchParams): boolean {
  const wanted = (name: string) =>
    (query.get(name) ?? "")
      .split(",")
      .filter((term) => term !== "")
      .map((term) => term.split("=") as [string, string]);
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "spec.nodeName": spec?.nodeName,
  };
  return (
    wanted("labelSelector").every(([label, value]) => metadata.labels?.[label] === value) &&
    wanted("fieldSelector").every(([field, value]) => fields[field] === value)
  );
}

const isOf = (place: Place, key: string): boolean =>
  key.startsWith(`${place.resource.name}/${place.namespace === null ? "" : `${place.namespace}/`}`);

function tell({ place, query, send }: Watcher, { key, type, object }: Change): void {
  if (isOf(place, key) && isSelected(object, query)) send(`${JSON.stringify({ type, object })}\n`);
}

/** Writes an object as it is from now on, and tells those who watch. */
function settle(place: Place, object: ApiObject, type: Change["type"]): ApiObject {
  const key = keyOf(place, object);
  const revision = changes.length + 1;
  object.metadata.resourceVersion = String(revision);
  if (type === "DELETED") objects.delete(key);
  else objects.set(key, object);
  const change: Change = { key, type, object, revision };
  changes.push(change);
  for (const watcher of watchers) tell(watcher, change);
  if (type === "DELETED") for (const [owned, each] of objects) if (isOwned(each, object)) removeAt(owned, each);
  return object;
}

const isOwned = ({ metadata }: ApiObject, owner: ApiObject): boolean =>
  metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) ?? false;

function removeAt(key: string, object: ApiObject): ApiObject {
  const resource = Object.values(RESOURCES)
    .flat()
    .find(({ name }) => key.startsWith(`${name}/`));
  if (resource === undefined) throw new Error(`${key} is of no resource`);
  const place: Place = { version: "", resource, namespace: null, name: null, isStatus: false };
  return remove(place, object);
}

function remove(place: Place, object: ApiObject): ApiObject {
  if ((object.metadata.finalizers ?? []).length === 0) return settle(place, object, "DELETED");
  if (object.metadata.deletionTimestamp !== undefined) return object;
  const metadata = { ...object.metadata, deletionTimestamp: now(), generation: (object.metadata.generation ?? 1) + 1 };
  return settle(place, { ...object, metadata }, "MODIFIED");
}

/** Times have seconds in this API. */
const now = (): string => new Date().toISOString().replace(/\.\d+/, "");

function create(place: Place, sent: ApiObject): Response {
  const { version, resource, namespace } = place;
  const metadata = {
    ...sent.metadata,
    ...(namespace === null ? {} : { namespace }),
    uid: crypto.randomUUID(),
    creationTimestamp: now(),
    generation: 1,
  };
  // What has its status as a subresource is created without.
  const { status, ...rest } = sent;
  const isCore = version === "v1";
  const object: ApiObject = {
    ...rest,
    ...(isCore ? { status } : {}),
    apiVersion: version,
    kind: resource.kind,
    metadata,
  };
  if (objects.has(keyOf(place, object))) return failure(409, "AlreadyExists", `${metadata.name} exists`);
  return Response.json(settle(place, object, "ADDED"), { status: 201 });
}

function update(place: Place, old: ApiObject, sent: ApiObject): Response {
  const version = sent.metadata.resourceVersion;
  if (version !== undefined && version !== "" && version !== old.metadata.resourceVersion)
    return failure(409, "Conflict", `${old.metadata.name} has changed: apply your changes to the latest version`);
  if (place.isStatus) return Response.json(settle(place, { ...old, status: sent.status }, "MODIFIED"));
  const { uid, creationTimestamp, deletionTimestamp, generation = 1 } = old.metadata;
  const hasChanged = JSON.stringify(old.spec) !== JSON.stringify(sent.spec);
  const metadata = {
    ...sent.metadata,
    ...{ uid, creationTimestamp, deletionTimestamp, generation: generation + (hasChanged ? 1 : 0) },
  } as ApiObject["metadata"];
  const object: ApiObject = { ...old, ...sent, status: old.status, metadata };
  const isGone = deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
  return Response.json(settle(place, object, isGone ? "DELETED" : "MODIFIED"));
}

/** Sends what changed since the revision that the client has seen, and what changes from then on, until it goes. */
function watch(place: Place, query: URLSearchParams, signal: AbortSignal): Response {
  const since = Number(query.get("resourceVersion") ?? "0");
  const body = new ReadableStream({
    start(controller) {
      const send = (line: string) => controller.enqueue(new TextEncoder().encode(line));
      const watcher: Watcher = { place, query, send };
      for (const change of changes) if (change.revision > since) tell(watcher, change);
      watchers.add(watcher);
      signal.addEventListener("abort", () => watchers.delete(watcher));
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}

const failure = (code: number, reason: string, message: string): Response =>
  Response.json(
    { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason, message, code },
    { status: code },
  );

function discover(path: string): Response | null {
  if (path === "/api") return Response.json({ kind: "APIVersions", versions: ["v1"] });
  const version = { groupVersion: BPFMAN, version: "v1alpha1" };
  const group = { name: "bpfman.io", versions: [version], preferredVersion: version };
  if (path === "/apis") return Response.json({ kind: "APIGroupList", apiVersion: "v1", groups: [group] });
  if (path === "/apis/bpfman.io") return Response.json({ kind: "APIGroup", apiVersion: "v1", ...group });
  const groupVersion = path.replace(/^\/apis?\//, "");
  const resources = RESOURCES[groupVersion]?.flatMap(({ name, kind, namespaced }) => {
    const verbs = ["create", "delete", "get", "list", "update", "watch"];
    const one = { name, kind, namespaced, verbs, singularName: kind.toLowerCase() };
    return [one, { ...one, name: `${name}/status`, singularName: "" }];
  });
  if (resources === undefined) return null;
  return Response.json({ kind: "APIResourceList", apiVersion: "v1", groupVersion, resources });
}

async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const place = placeOf(pathname);
  if (place === null) return discover(pathname) ?? failure(404, "NotFound", `nothing is at ${pathname}`);
  if (place.name === null) {
    if (request.method === "POST") return create(place, (await request.json()) as ApiObject);
    if (request.method !== "GET") return failure(405, "MethodNotAllowed", `no ${request.method} of a list`);
    if (searchParams.get("watch") === "true") return watch(place, searchParams, request.signal);
    const items = [...objects].filter(([key, each]) => isOf(place, key) && isSelected(each, searchParams));
    return Response.json({
      kind: `${place.resource.kind}List`,
      apiVersion: place.version,
      metadata: { resourceVersion: String(changes.length) },
      items: items.map(([, each]) => each),
    });
  }
  const object = objects.get(`${place.resource.name}/${place.namespace ?? ""}/${place.name}`);
  if (object === undefined) return failure(404, "NotFound", `${place.resource.name} "${place.name}" not found`);
  if (request.method === "GET") return Response.json(object);
  if (request.method === "PUT") return update(place, object, (await request.json()) as ApiObject);
  if (request.method === "DELETE") return Response.json(remove(place, object));
  return failure(405, "MethodNotAllowed", `no ${request.method} here`);
}

const [certificate = "", key = "", token = "", unix = ""] = process.argv.slice(2);
const hasToken = (request: Request) => request.headers.get("authorization") === `Bearer ${token}`;
// Watches are silent for as long as nothing changes.
const idleTimeout = 0;
Bun.serve({
  ...{ hostname: "127.0.0.1", port: 6443, idleTimeout },
  tls: { cert: Bun.file(certificate), key: Bun.file(key) },
  fetch: (request) => (hasToken(request) ? answer(request) : failure(401, "Unauthorized", "send the token")),
});
Bun.serve({ unix, fetch: answer });
console.log("listening");
