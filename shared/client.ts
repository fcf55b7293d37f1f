import * as l10n from '@vscode/l10n';
import type { NodeView, RouteName, RouteResponse, TaskSummary } from './api.ts';
import { CiError } from './errors.ts';
import type { LogEvent } from './log.ts';
import type { ClientOptions } from './client/client-options.ts';
import { type CallInput, HttpCaller, readError } from './client/http.ts';
import { type LogRequest, streamLog } from './client/log-stream.ts';
import { keepSubscribed } from './client/reconnect.ts';

export type { ClientOptions } from './client/client-options.ts';
export type { CallInput } from './client/http.ts';
export type { LogRequest } from './client/log-stream.ts';

/** `snapshot` replaces all that was said before. */
export type TasksUpdate =
  | { readonly kind: 'snapshot'; readonly tasks: readonly TaskSummary[] }
  | { readonly kind: 'changed'; readonly task: TaskSummary }
  | { readonly kind: 'gone'; readonly id: string };

export type NodesUpdate =
  | { readonly kind: 'snapshot'; readonly nodes: readonly NodeView[] }
  | { readonly kind: 'changed'; readonly node: NodeView }
  | { readonly kind: 'gone'; readonly id: string };

export interface RawLogRequest {
  readonly attempt?: number;
  readonly fence?: number;
  /** Byte offsets: from `from` up to but without `to`. */
  readonly from?: number;
  readonly to?: number;
}

/**
 * Talks to a cluster through any of its nodes. Runs in Node, in VS Code and in browsers.
 *
 * Failures are CiErrors with the code that the node gave; `unavailable` when no node can be reached. What its signal ends
 * rejects with the signal's reason. Disposing of the client ends its streams and calls.
 */
export interface Client extends AsyncDisposable {
  /** More nodes of the same cluster, asked when those before cannot be reached. They get the token: whoever adds them vouches. */
  addNodes(urls: readonly string[]): void;
  /** The node that is asked first: the given one, or one after it that has answered since that fell silent. */
  readonly url: string;
  /** One call of the API: `client.call('getTask', { params: { id } }, signal)`. */
  call<N extends RouteName>(name: N, input: CallInput<N>, signal: AbortSignal): Promise<RouteResponse<N>>;
  /**
   * A task's log, without gap or repeat, over broken connections and on other nodes. The next part is sent when the last has
   * been taken: a slow reader costs nobody memory.
   */
  log(task: string, request: LogRequest, signal: AbortSignal): AsyncIterable<LogEvent>;
  /** Begins with a snapshot; after a lapse comes another. Ends only by the signal or an error. */
  watchTasks(signal: AbortSignal): AsyncIterable<TasksUpdate>;
  watchNodes(signal: AbortSignal): AsyncIterable<NodesUpdate>;
  /** The bytes of one attempt, exactly. */
  rawLog(task: string, request: RawLogRequest, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The bytes of an artifact. */
  download(task: string, path: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Puts bytes to an address that `uploadPack` gave. A Blob of a file is read as it is sent. */
  upload(url: string, body: Blob | Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void>;
}

/** How long storing a body may take before it is given up, in milliseconds. */
const UPLOAD_TIMEOUT_MS = 3_600_000;

export function createClient(options: ClientOptions): Client {
  const http = new HttpCaller(options);
  const closed = new AbortController();
  const ended = (signal: AbortSignal) => AbortSignal.any([signal, closed.signal]);
  return {
    get url() {
      return http.url;
    },
    addNodes: urls => http.addNodes(urls),
    call: (name, input, signal) => http.call(name, input as object, ended(signal)),
    log: (task, request, signal) => streamLog(http, task, request, ended(signal)),
    watchTasks: signal => watchTasks(http, ended(signal)),
    watchNodes: signal => watchNodes(http, ended(signal)),
    rawLog: (id, query, signal) => readBytes(http, 'taskLog', { params: { id }, query: { ...query } }, ended(signal)),
    download: (id, path, signal) => readBytes(http, 'artifact', { params: { id, '*': path } }, ended(signal)),
    upload: async (url, body, signal) => {
      const address = new URL(url, http.url).href;
      const response = await http.fetch(address, { method: 'PUT', body }, ended(signal), UPLOAD_TIMEOUT_MS);
      if (!response.ok) throw await readError(response);
      await response.body?.cancel();
    },
    [Symbol.asyncDispose]: async () => closed.abort(new CiError('unavailable', 'The client was closed')),
  };
}

async function* watchTasks(http: HttpCaller, signal: AbortSignal): AsyncGenerator<TasksUpdate> {
  for await (const delivery of keepSubscribed(http, () => ({ topic: 'tasks' }), signal)) {
    if (delivery.kind === 'connected') continue;
    const { message } = delivery;
    if (message.type === 'snapshot') yield { kind: 'snapshot', tasks: message.tasks ?? [] };
    if (message.type !== 'changed') continue;
    if (message.task) yield { kind: 'changed', task: message.task };
    if (message.gone !== undefined) yield { kind: 'gone', id: message.gone };
  }
}

async function* watchNodes(http: HttpCaller, signal: AbortSignal): AsyncGenerator<NodesUpdate> {
  for await (const delivery of keepSubscribed(http, () => ({ topic: 'nodes' }), signal)) {
    if (delivery.kind === 'connected') continue;
    const { message } = delivery;
    if (message.type === 'snapshot') yield { kind: 'snapshot', nodes: message.nodes ?? [] };
    if (message.type !== 'changed') continue;
    if (message.node) yield { kind: 'changed', node: message.node };
    if (message.gone !== undefined) yield { kind: 'gone', id: message.gone };
  }
}

async function* readBytes(
  http: HttpCaller,
  name: RouteName,
  input: Parameters<HttpCaller['request']>[1],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const response = await http.request(name, input, signal);
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } catch (error) {
    signal.throwIfAborted();
    throw new CiError('unavailable', l10n.t('The answer of {0} was cut off', new URL(response.url).origin), {
      cause: error,
    });
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
