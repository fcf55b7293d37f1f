import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InCluster } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';
import { KubernetesWatches } from './kubernetes-watches.ts';
import { type Access, allows, type Role } from './rbac.ts';
import { isSelected } from './selected-labels.ts';

export interface KubeObject {
  metadata: {
    name: string;
    uid: string;
    resourceVersion: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

/** What a pod has of its service account. */
export interface Account extends InCluster {
  readonly folder: string;
  readonly env: { readonly KUBERNETES_SERVICE_HOST: string; readonly KUBERNETES_SERVICE_PORT: string };
}

/** A request that has come, and what became of it. */
export interface Seen {
  readonly user: string | undefined;
  readonly verb: string;
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
}

/**
 * An API server for tests, with TLS, tokens of service accounts and RBAC: it keeps the few kinds of objects that the program
 * touches, merges patches as Kubernetes does, and refuses what Kubernetes would refuse. Nothing acts on the objects but who is
 * told of them.
 */
export class KubernetesServer implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'simple-ci-kubernetes-'));
  readonly namespace = 'ci';
  readonly seen: Seen[] = [];
  readonly #server: Server;
  readonly #ca: string;
  /** By `namespace/resource/name`. */
  readonly #objects = new Map<string, KubeObject>();
  readonly #accounts = new Map<
    string,
    { readonly name: string; readonly roles: Readonly<Record<string, readonly Role[]>> }
  >();
  readonly #watches = new KubernetesWatches();
  #version = 0;
  /** Called as soon as a request has come, before anything is made of it. */
  onRequest: (verb: string, path: string) => void = () => undefined;
  /** Called after an object has changed. */
  onChange: (path: string, object: KubeObject) => void = () => undefined;
  /** Why an object that somebody wants to make is not admitted; undefined when it is. */
  admit: (resource: string, object: KubeObject) => string | undefined = () => undefined;
  onCreate: (resource: string, object: KubeObject) => void = () => undefined;
  /** Who runs an object ends it, and takes it away then by `delete`. Absent: it is gone at once. */
  onDelete: ((resource: string, object: KubeObject, graceSeconds: number) => void) | undefined;
  /** Names of objects that nobody is let delete, as a policy may want it. */
  readonly keeps = new Set<string>();
  /** How far it gets with each answer before it hangs, if it does. */
  hangs: 'before it answers' | 'in a refusal' | undefined;
  /** Not undefined: what it answers to everything, such as 500. */
  failure: number | undefined;

  static async start(): Promise<KubernetesServer> {
    const server = new KubernetesServer();
    await new Promise<void>(resolve => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  private constructor() {
    const authority = makeAuthority(this.folder, 'kubernetes-ca');
    this.#ca = authority.cert;
    const own = makeCertificate(this.folder, 'kubernetes', authority, 'serverAuth');
    this.#server = createServer(
      { cert: readFileSync(own.cert), key: readFileSync(own.key) },
      (request, response) => void this.#serve(request, response),
    );
  }

  /** A service account: what a pod of it finds in its folder. Roles are bound by namespace. */
  account(name: string, roles: Readonly<Record<string, readonly Role[]>>): Account {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'ca.crt'), readFileSync(this.#ca));
    writeFileSync(join(folder, 'namespace'), this.namespace);
    this.#accounts.forEach((account, token) => {
      if (account.name === name) this.#accounts.delete(token);
    });
    const token = `token-of-${name}-${++this.#version}`;
    this.#accounts.set(token, { name, roles });
    writeFileSync(join(folder, 'token'), `${token}\n`);
    const [host, port] = ['127.0.0.1', this.port];
    const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: String(port) };
    return { host, port, serviceAccount: folder, folder, env };
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  put(resource: string, name: string, object: object, namespace = this.namespace): KubeObject {
    const metadata = { uid: `uid-${++this.#version}`, ...(object as Partial<KubeObject>).metadata };
    const made = { ...object, metadata: { ...metadata, name, resourceVersion: String(++this.#version) } };
    const key = `${namespace}/${resource}/${name}`;
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED';
    this.#objects.set(key, made);
    this.#watches.note(type, `${namespace}/${resource}/`, made, this.#version);
    return made;
  }

  get(resource: string, name: string, namespace = this.namespace): KubeObject | undefined {
    return this.#objects.get(`${namespace}/${resource}/${name}`);
  }

  /** It is gone. */
  delete(resource: string, name: string): void {
    const key = `${this.namespace}/${resource}/${name}`;
    const object = this.#objects.get(key);
    if (!object) return;
    this.#objects.delete(key);
    object.metadata.resourceVersion = String(++this.#version);
    this.#watches.note('DELETED', `${this.namespace}/${resource}/`, object, this.#version);
  }

  /** A request for its end by somebody who may do everything. */
  end(resource: string, name: string, gracePeriodSeconds: number): void {
    const object = this.get(resource, name);
    if (!object) throw new Error(`There is no ${resource} ${name}`);
    this.#delete({ namespace: this.namespace, resource }, object, { gracePeriodSeconds });
  }

  /** How many watches are open. */
  get watches(): number {
    return this.#watches.count;
  }

  /** Ends all of them: in order, or in the middle of an event. */
  endWatches(how: 'in order' | 'broken off'): void {
    this.#watches.end(how);
  }

  /** Tells all who watch that they have been told everything up to now. */
  bookmark(): void {
    this.#watches.bookmark(this.#version);
  }

  /** Nobody can be told any more what has changed up to now. That is said by the status, or by an event. */
  forget(saysGoneBy: 'status' | 'event'): void {
    this.#watches.forget(++this.#version);
    this.#watches.saysGoneBy = saysGoneBy;
  }

  /** A request of a controller of Kubernetes, which may do everything. */
  patch(resource: string, name: string, patch: object): KubeObject | undefined {
    const object = this.get(resource, name);
    return object && this.#merge(`${this.namespace}/${resource}/${name}`, object, patch);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const path = request.url ?? '';
    const verb = verbOf(request.method ?? '', path);
    this.onRequest(verb, path);
    if (this.hangs === 'in a refusal') response.writeHead(503).write('not n');
    if (this.hangs) return;
    const account = this.#accounts.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '');
    const { status, answer } =
      this.#answer(account, verb, path, body, request.headers['content-type']) ?? this.#watch(path, response);
    this.seen.push({ user: account?.name, verb, path, status, body });
    if (answer === undefined) return;
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  /** Undefined for a watch that may be. */
  #answer(
    account: { name: string; roles: Readonly<Record<string, readonly Role[]>> } | undefined,
    verb: string,
    path: string,
    body: unknown,
    type: string | undefined,
  ): { status: number; answer: unknown } | undefined {
    if (this.failure !== undefined) return refuse(this.failure, 'InternalError', 'the server has failed');
    if (!account) return refuse(401, 'Unauthorized', 'Unauthorized');
    const at = parsePath(path);
    if (!at) return refuse(404, 'NotFound', `the server could not find the requested resource: ${path}`);
    const access: Access = { verb, apiGroup: at.apiGroup, resource: at.resource, name: at.name };
    if (!allows(account.roles[at.namespace] ?? [], access))
      return refuse(
        403,
        'Forbidden',
        `${at.resource} "${at.name}" is forbidden: User "system:serviceaccount:${this.namespace}:${account.name}" cannot ${verb} resource "${at.resource}" in API group "${at.apiGroup}" in the namespace "${at.namespace}"`,
      );
    if (verb === 'watch') return undefined;
    const [kind = ''] = at.resource.split('/');
    if (verb === 'create') return this.#create(at, body as KubeObject, path.includes('dryRun=All'));
    if (verb === 'list') return { status: 200, answer: this.#list(at, new URL(path, 'https://server').searchParams) };
    const key = `${at.namespace}/${kind}/${at.name}`;
    const object = this.#objects.get(key);
    if (!object) return refuse(404, 'NotFound', `${kind} "${at.name}" not found`);
    if (verb === 'delete' && body === undefined)
      return refuse(400, 'BadRequest', 'tests ask for a deletion with its conditions');
    if (verb === 'delete') return this.#delete(at, object, body as DeleteOptions | undefined);
    if (verb === 'get') return { status: 200, answer: view(at.resource, object) };
    if (type !== 'application/merge-patch+json')
      return refuse(415, 'UnsupportedMediaType', `the body of the request was in an unknown format: ${type}`);
    const patch = body as { metadata?: { resourceVersion?: string; annotations?: Record<string, unknown> } };
    const wanted = patch.metadata?.resourceVersion;
    if (wanted !== undefined && wanted !== object.metadata.resourceVersion)
      return refuse(409, 'Conflict', 'the object has been modified; please apply your changes to the latest version');
    const wrong = wrongAnnotation(patch);
    if (wrong) return refuse(422, 'Invalid', wrong);
    return { status: 200, answer: view(at.resource, this.#merge(key, object, patch)) };
  }

  #watch(path: string, response: ServerResponse): { status: number; answer: unknown } {
    const { namespace, resource } = parsePath(path)!;
    const query = new URL(path, 'https://server').searchParams;
    const refused = this.#watches.watch(`${namespace}/${resource}/`, query, response);
    return refused ? refuse(refused, 'Expired', 'too old resource version') : { status: 200, answer: undefined };
  }

  #create(
    { namespace, resource }: { namespace: string; resource: string },
    object: KubeObject,
    isTrial: boolean,
  ): { status: number; answer: unknown } {
    const { name } = object.metadata;
    if (this.get(resource, name, namespace))
      return refuse(409, 'AlreadyExists', `${resource} "${name}" already exists`);
    const why = this.admit(resource, object);
    if (why !== undefined) return refuse(403, 'Forbidden', `${resource} "${name}" is forbidden: ${why}`);
    if (isTrial) return { status: 201, answer: { ...object, metadata: { ...object.metadata, uid: 'none' } } };
    const made = this.put(resource, name, object, namespace);
    this.onCreate(resource, made);
    return { status: 201, answer: made };
  }

  #list({ namespace, resource }: { namespace: string; resource: string }, query: URLSearchParams): unknown {
    const selector = query.get('labelSelector') ?? '';
    const items = [...this.#objects].flatMap(([key, object]) => {
      const isOne = key.startsWith(`${namespace}/${resource}/`);
      return isOne && isSelected(object.metadata.labels ?? {}, selector) ? [object] : [];
    });
    // A page at a time, as Kubernetes does it.
    const begin = Number(query.get('continue') ?? 0);
    const end = begin + Number(query.get('limit') ?? items.length);
    const resourceVersion = String(this.#version);
    return {
      kind: 'List',
      metadata: { resourceVersion, ...(end < items.length && { continue: String(end) }) },
      items: items.slice(begin, end),
    };
  }

  #delete(
    { namespace, resource }: { namespace: string; resource: string },
    object: KubeObject,
    options: DeleteOptions | undefined,
  ): { status: number; answer: unknown } {
    const { name, uid } = object.metadata;
    if (this.keeps.has(name)) return refuse(403, 'Forbidden', `${resource} "${name}" is to be kept`);
    const wanted = options?.preconditions?.uid;
    if (wanted !== undefined && wanted !== uid)
      return refuse(
        409,
        'Conflict',
        `the UID in the precondition (${wanted}) does not match the UID in record (${uid})`,
      );
    if (!this.onDelete) this.delete(resource, name);
    else if (object.metadata.deletionTimestamp === undefined) {
      object.metadata.deletionTimestamp = new Date().toISOString();
      object.metadata.resourceVersion = String(++this.#version);
      this.#watches.note('MODIFIED', `${namespace}/${resource}/`, object, this.#version);
      this.onDelete(resource, object, options?.gracePeriodSeconds ?? 30);
    }
    return { status: 200, answer: object };
  }

  #merge(key: string, object: KubeObject, patch: object): KubeObject {
    const merged = mergePatch(object, patch) as KubeObject;
    merged.metadata.resourceVersion = String(++this.#version);
    this.#objects.set(key, merged);
    this.#watches.note('MODIFIED', key.slice(0, key.lastIndexOf('/') + 1), merged, this.#version);
    this.onChange(key.slice(key.indexOf('/') + 1), merged);
    return merged;
  }
}

function parsePath(path: string) {
  const match = /^\/(?:api\/v1|apis\/([^/]+)\/v1)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
    path.split('?')[0]!,
  );
  if (!match) return undefined;
  const [, apiGroup = '', namespace = '', kind = '', name = '', sub] = match;
  return { apiGroup, namespace, name, resource: sub === undefined ? kind : `${kind}/${sub}` };
}

interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string };
}

function verbOf(method: string, path: string): string {
  const isOne = parsePath(path)?.name !== '';
  if (method === 'GET' && /[?&]watch=(1|true)(&|$)/.test(path)) return 'watch';
  if (method === 'GET') return isOne ? 'get' : 'list';
  return method === 'POST' ? 'create' : method.toLowerCase();
}

/** The scale of a Deployment is a view of it. */
function view(resource: string, object: KubeObject): unknown {
  if (!resource.endsWith('/scale')) return object;
  const { metadata, spec, status } = object as unknown as {
    metadata: object;
    spec: { replicas: number };
    status?: { replicas?: number };
  };
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata,
    spec: { replicas: spec.replicas },
    status: { replicas: status?.replicas ?? spec.replicas },
  };
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === 'object' && target !== null ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

/** Kubernetes takes a deletion cost for what it is only if it is a 32-bit integer, written as one. */
function wrongAnnotation(patch: { metadata?: { annotations?: Record<string, unknown> } }): string | undefined {
  const annotations = patch.metadata?.annotations ?? {};
  for (const [name, value] of Object.entries(annotations)) {
    if (value !== null && typeof value !== 'string') return `metadata.annotations: ${name} must be a string`;
    if (name.endsWith('/pod-deletion-cost') && !/^(0|-?[1-9]\d{0,9})$/.test(String(value)))
      return `metadata.annotations[${name}]: Invalid value: ${String(value)}: must be a 32bit integer`;
  }
  return undefined;
}

function refuse(status: number, reason: string, message: string) {
  return {
    status,
    answer: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status },
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text === '' ? undefined : JSON.parse(text);
}
