import { z } from 'zod';
import { ERROR_STATUS, type ErrorCode } from './errors.ts';
import { ArtifactManifest, MemberRecord, Outcome, PastAttempt, TaskResult } from './result.ts';
import { TaskRecord, TaskSpec } from './task.ts';

/**
 * The API, once: the server registers these routes, the client calls them, OpenAPI is made of them. Times are milliseconds
 * since 1970, sizes are bytes. Every call but the public ones carries `Authorization: Bearer TOKEN`.
 */

export const Role = z.enum(['viewer', 'runner', 'admin']);
/** viewer: look. runner: also submit, cancel, retry. admin: also tokens and secrets. Each may do what the one before it may. */
export type Role = z.infer<typeof Role>;

export const ErrorBody = z.object({
  error: z.object({
    code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    /** Also in the node's log, and in the header `x-request-id` of every answer. */
    requestId: z.string(),
  }),
});
export type ErrorBody = z.infer<typeof ErrorBody>;

const Commit = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, 'must be 40 or 64 of [0-9a-f]');
const PackId = z.string().regex(/^[0-9a-f]{16,64}$/, 'must be 16 to 64 of [0-9a-f]');
export const Id = z.string().regex(/^[0-9][0-9a-z]{25,31}$/, 'must be 26 to 32 of [0-9a-z], starting with a digit');

/** A task as people look at it: where it is in its life, derived from the keys it has. */
export const TaskView = z.discriminatedUnion('state', [
  z.object({ state: z.literal('queued'), id: Id, task: TaskRecord, past: z.array(PastAttempt) }),
  z.object({
    state: z.literal('running'),
    id: Id,
    task: TaskRecord,
    past: z.array(PastAttempt),
    attempt: z.int(),
    fence: z.int(),
    node: z.string(),
    claimed: z.number(),
  }),
  z.object({ state: z.literal('finished'), id: Id, task: TaskRecord, past: z.array(PastAttempt), result: TaskResult }),
]);
export type TaskView = z.infer<typeof TaskView>;
export type TaskState = TaskView['state'];

/** One line of a list: enough to show, small enough to send by the thousand. */
export const TaskSummary = z.object({
  id: Id,
  name: z.string(),
  state: z.enum(['queued', 'running', 'finished']),
  outcome: Outcome.optional(),
  message: z.string().optional(),
  submitter: z.string(),
  submitted: z.number(),
  claimed: z.number().optional(),
  finished: z.number().optional(),
  node: z.string().optional(),
  attempt: z.int().optional(),
  cancelling: z.boolean().optional(),
  labels: z.array(z.string()).optional(),
  /** Absent: 1. */
  slots: z.int().optional(),
  /** That was checked out in the workspace which was sent. */
  branch: z.string().optional(),
});
export type TaskSummary = z.infer<typeof TaskSummary>;

export const NodeView = MemberRecord;
export type NodeView = MemberRecord;

/** What the nodes with the same labels are asked for, and how many there are. */
export const PoolDemand = z.object({
  labels: z.array(z.string()),
  /** Slots: those in use on nodes that do not drain, and those that waiting tasks ask for. */
  demand: z.number(),
  /** Nodes that do not drain, and their slots together. */
  nodes: z.int(),
  slots: z.int(),
});
export type PoolDemand = z.infer<typeof PoolDemand>;

export const DemandReport = z.object({ pools: z.record(z.string(), PoolDemand) });
export type DemandReport = z.infer<typeof DemandReport>;

export const ClusterView = z.object({
  cluster: z.string(),
  epoch: z.string(),
  node: z.string(),
  instance: z.string(),
  version: z.string(),
  role: Role,
  principal: z.string(),
});
export type ClusterView = z.infer<typeof ClusterView>;

export const SnapshotCheck = z.object({
  /** Which of the commits asked for the cluster has whole, newest first as they were given. */
  present: z.array(z.string()),
});

export const SnapshotManifest = z.looseObject({
  v: z.int().min(1),
  commit: Commit,
  tree: Commit,
  /** Commits whose parents were left behind: they are the `.git/shallow` of a checkout. */
  shallow: z.array(z.string()),
  /** Packs in the order in which they are to be indexed: a later one may hold deltas against an earlier one. */
  packs: z.array(z.looseObject({ id: PackId, bytes: z.int().min(0) })).max(64),
  created: z.number(),
});
export type SnapshotManifest = z.infer<typeof SnapshotManifest>;

export const TokenView = z.object({
  id: z.string(),
  name: z.string(),
  role: Role,
  created: z.number(),
  createdBy: z.string(),
  expires: z.number().optional(),
});
export type TokenView = z.infer<typeof TokenView>;

export const LogMarkView = z.object({
  offset: z.number(),
  time: z.number(),
  kind: z.enum(['step-started', 'step-finished', 'note']),
  step: z.int().optional(),
  text: z.string(),
});

const Upload = z.object({ url: z.string(), expires: z.number() });

/** Who may call a route: a role, anyone with a token, or everyone. */
export type Access = Role | 'public';

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Largest body in bytes. Default: 64 KiB. */
  readonly bodyLimit?: number;
  /** Absent: bytes, text, or nothing. */
  readonly response?: z.ZodType;
  /**
   * A POST that does no more when it is done twice: a client whose connection broke may say it again, also to another node.
   * `with-id`: only if the body has an `id`.
   */
  readonly repeatable?: true | 'with-id';
}

export const DEFAULT_BODY_LIMIT = 65_536;

const SecretName = z
  .string()
  .regex(/^[A-Z_][A-Z0-9_]{0,99}$/, 'must be 1 to 100 of [A-Z0-9_], not starting with a digit');
const taskParams = z.object({ id: Id });
const number = z.coerce.number().int().min(0);

export const routes = {
  cluster: {
    method: 'GET',
    path: '/v1/cluster',
    access: 'viewer',
    summary: 'The cluster, this node, and who is asking.',
    response: ClusterView,
  },
  submitTask: {
    method: 'POST',
    path: '/v1/tasks',
    access: 'runner',
    summary: 'Submit a task. The id is made by the submitter: submitting it again is safe and changes nothing.',
    body: z.looseObject({ id: Id.optional(), task: TaskSpec }),
    bodyLimit: 200_000,
    response: TaskView,
    repeatable: 'with-id',
  },
  listTasks: {
    method: 'GET',
    path: '/v1/tasks',
    access: 'viewer',
    summary: 'Tasks: queued ones in queue order, finished ones newest first.',
    query: z.object({
      state: z.enum(['queued', 'running', 'finished']).optional(),
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      /** The `next` of the page before. */
      after: z.string().max(500).optional(),
    }),
    response: z.object({ tasks: z.array(TaskSummary), next: z.string().optional() }),
  },
  getTask: {
    method: 'GET',
    path: '/v1/tasks/:id',
    access: 'viewer',
    summary: 'One task.',
    params: taskParams,
    response: TaskView,
  },
  cancelTask: {
    method: 'POST',
    path: '/v1/tasks/:id/cancel',
    access: 'runner',
    summary: 'Ask for the task to stop. Asking again changes nothing.',
    params: taskParams,
    query: z.object({
      /** For people, in the task's message: why, beside who. */
      reason: z.string().min(1).max(500).optional(),
    }),
    response: TaskView,
    repeatable: true,
  },
  retryTask: {
    method: 'POST',
    path: '/v1/tasks/:id/retry',
    access: 'runner',
    summary: 'Submit the same task again under a new id.',
    params: taskParams,
    body: z.looseObject({ id: Id.optional() }),
    response: TaskView,
    repeatable: 'with-id',
  },
  taskLog: {
    method: 'GET',
    path: '/v1/tasks/:id/log',
    access: 'viewer',
    summary: 'The bytes an attempt printed, exactly, as far as they are known now. `from` and `to` are byte offsets.',
    params: taskParams,
    query: z.object({
      attempt: number.optional(),
      fence: number.optional(),
      from: number.optional(),
      to: number.optional(),
    }),
  },
  logMarks: {
    method: 'GET',
    path: '/v1/tasks/:id/marks/:fence',
    access: 'viewer',
    summary:
      'Where the steps of an attempt begin and end in its log, and how many bytes it has: of a finished attempt, or one that the node asked runs itself. Else nothing.',
    params: z.object({ id: Id, fence: z.coerce.number().int().min(0) }),
    response: z.object({ bytes: z.number(), marks: z.array(LogMarkView) }),
  },
  listArtifacts: {
    method: 'GET',
    path: '/v1/tasks/:id/artifacts',
    access: 'viewer',
    summary: 'What a finished task kept.',
    params: taskParams,
    response: z.object({ artifacts: ArtifactManifest.shape.files }),
  },
  artifact: {
    method: 'GET',
    path: '/v1/tasks/:id/artifacts/*',
    access: 'viewer',
    summary: 'One artifact by its path: a redirect to an address that serves the bytes for 15 minutes.',
    params: z.object({ id: Id, '*': z.string().max(1000) }),
  },
  checkSnapshots: {
    method: 'POST',
    path: '/v1/snapshots/check',
    access: 'runner',
    summary: 'Which of these snapshots the cluster has.',
    body: z.looseObject({ commits: z.array(Commit).max(100) }),
    response: SnapshotCheck,
    repeatable: true,
  },
  getSnapshot: {
    method: 'GET',
    path: '/v1/snapshots/:commit',
    access: 'runner',
    summary: 'What a snapshot consists of.',
    params: z.object({ commit: Commit }),
    response: SnapshotManifest,
  },
  uploadPack: {
    method: 'POST',
    path: '/v1/packs/:id',
    access: 'runner',
    summary: 'An address to PUT a pack to. The id is a hash of its bytes.',
    params: z.object({ id: PackId }),
    response: Upload,
    repeatable: true,
  },
  putSnapshot: {
    method: 'PUT',
    path: '/v1/snapshots/:commit',
    access: 'runner',
    summary: 'Publish a snapshot whose packs have been uploaded.',
    params: z.object({ commit: Commit }),
    body: SnapshotManifest,
    bodyLimit: 1_000_000,
    response: SnapshotManifest,
  },
  listNodes: {
    method: 'GET',
    path: '/v1/nodes',
    access: 'viewer',
    summary: 'The nodes that are alive.',
    response: z.object({ nodes: z.array(NodeView) }),
  },
  demand: {
    method: 'GET',
    path: '/v1/demand',
    access: 'viewer',
    summary:
      'How many slots each pool of nodes is asked for, for programs that scale: the same from any node, and an error while it is not known.',
    response: DemandReport,
  },
  createTicket: {
    method: 'POST',
    path: '/v1/tickets',
    access: 'viewer',
    summary: 'A word that opens one WebSocket within 30 s, for clients that cannot send headers.',
    response: z.object({ ticket: z.string(), expires: z.number() }),
    repeatable: true,
  },
  listTokens: {
    method: 'GET',
    path: '/v1/tokens',
    access: 'admin',
    summary: 'Tokens, without their secrets.',
    response: z.object({ tokens: z.array(TokenView) }),
  },
  createToken: {
    method: 'POST',
    path: '/v1/tokens',
    access: 'admin',
    summary: 'A new token. Its secret is in this answer only.',
    body: z.looseObject({
      name: z.string().min(1).max(100),
      role: Role,
      expiresSeconds: z.number().int().min(1).max(315_360_000).optional(),
    }),
    response: z.object({ token: z.string(), view: TokenView }),
  },
  revokeToken: {
    method: 'DELETE',
    path: '/v1/tokens/:id',
    access: 'admin',
    summary: 'End a token. Nodes notice within 10 s.',
    params: z.object({ id: z.string().regex(/^[0-9a-z]{8}$/, 'must be 8 of [0-9a-z]') }),
  },
  listSecrets: {
    method: 'GET',
    path: '/v1/secrets',
    access: 'admin',
    summary: 'Names of the secrets, never their values.',
    response: z.object({ secrets: z.array(z.object({ name: z.string(), updated: z.number() })) }),
  },
  putSecret: {
    method: 'PUT',
    path: '/v1/secrets/:name',
    access: 'admin',
    summary: 'Set a secret.',
    params: z.object({ name: SecretName }),
    body: z.looseObject({ value: z.string().min(6).max(32_768) }),
    bodyLimit: 250_000,
  },
  deleteSecret: {
    method: 'DELETE',
    path: '/v1/secrets/:name',
    access: 'admin',
    summary: 'Delete a secret.',
    params: z.object({ name: SecretName }),
  },
  getObject: {
    method: 'GET',
    path: '/v1/objects/*',
    access: 'public',
    summary: 'Bytes of a cluster that keeps them in a directory: only at addresses that it has signed itself.',
    params: z.object({ '*': z.string().max(2000) }),
  },
  putObject: {
    method: 'PUT',
    path: '/v1/objects/*',
    access: 'public',
    summary: 'Store bytes in a cluster that keeps them in a directory: only at addresses that it has signed itself.',
    params: z.object({ '*': z.string().max(2000) }),
  },
  livez: { method: 'GET', path: '/livez', access: 'public', summary: 'Whether the process answers: always `ok`.' },
  readyz: {
    method: 'GET',
    path: '/readyz',
    access: 'public',
    summary: '`ok` if the node can take requests, else 503 with the reason.',
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    access: 'viewer',
    summary: 'Figures of this node, in Prometheus’ text format.',
  },
  openapi: { method: 'GET', path: '/openapi.json', access: 'public', summary: 'This description.' },
} as const satisfies Record<string, Route>;

export type Routes = typeof routes;
export type RouteName = keyof Routes;

type Read<N extends RouteName, Part extends string> = Routes[N] extends {
  readonly [P in Part]: infer S extends z.ZodType;
}
  ? z.output<S>
  : undefined;
/** The parts of a request of that route, as its handler gets them; undefined for those that it does not have. */
export type RouteParams<N extends RouteName> = Read<N, 'params'>;
export type RouteQuery<N extends RouteName> = Read<N, 'query'>;
export type RouteBody<N extends RouteName> = Read<N, 'body'>;
/** What the route answers as JSON; undefined for those that answer bytes, text or nothing. */
export type RouteResponse<N extends RouteName> = Read<N, 'response'>;
