import * as l10n from '@vscode/l10n';
import {
  ErrorBody,
  type Route,
  type RouteBody,
  type RouteName,
  type RouteParams,
  type RouteQuery,
  type RouteResponse,
  routes,
} from '../api.ts';
import { CiError, describeError } from '../errors.ts';
import { newTaskId, quote } from '../ids.ts';
import { DEFAULT_PRIORITY } from '../task.ts';
import type { ClientOptions } from './client-options.ts';

/** What a route wants of its caller: the parts it has, query parameters optional where the table says so. */
export type CallInput<N extends RouteName> = Part<'params', RouteParams<N>> &
  QueryPart<RouteQuery<N>> &
  Part<'body', RouteBody<N>>;
type Part<Name extends string, T> = T extends undefined ? unknown : { readonly [P in Name]: T };
type QueryPart<T> = T extends undefined ? unknown : { readonly query?: T };

interface AnyInput {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/** A call that gets no answer for this long is given up, if nothing else is said. Milliseconds. */
const ANSWER_MS = 30_000;

/** The HTTP half of the client: one request, one answer, from the first node that gives one. */
export class HttpCaller {
  readonly options: ClientOptions;
  readonly #urls: string[] = [];
  #best = 0;

  constructor(options: ClientOptions) {
    this.options = options;
    this.addNodes(options.urls);
    if (this.#urls.length === 0) throw new CiError('invalid', 'Cannot talk to a cluster without the URL of a node');
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  /** Behind those that are known already, each once. */
  addNodes(urls: readonly string[]): void {
    for (const url of urls.map(one => one.replace(/\/+$/, ''))) if (!this.#urls.includes(url)) this.#urls.push(url);
  }

  /** The node to ask first: none that has failed since. */
  get url(): string {
    return this.urls[this.#best] as string;
  }

  async call<N extends RouteName>(name: N, input: AnyInput, signal: AbortSignal): Promise<RouteResponse<N>> {
    const response = await this.request(name, input, signal);
    const { response: schema } = routes[name] as Route;
    if (!schema) {
      await response.body?.cancel();
      return undefined as RouteResponse<N>;
    }
    const json: unknown = await readJson(response);
    const parsed = schema.safeParse(json);
    // What was sent is given on as it is: fields that a newer node knows pass through.
    if (parsed.success) return json as RouteResponse<N>;
    const issue = parsed.error.issues[0];
    throw new CiError(
      'newer-format',
      `Cannot read the answer of ${response.url} as "${issue?.path.join('.')}" is wrong: ${issue?.message}`,
    );
  }

  /** The answer as it is, if it is a good one. Another node is asked when one cannot be reached and asking twice is safe. */
  async request(name: RouteName, given: AnyInput, signal: AbortSignal): Promise<Response> {
    const input = withId(name, given);
    const tries = isRepeatable(name, input) ? this.urls.length : 1;
    let at = this.#best;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.requestFrom(this.urls[at] as string, name, input, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof CiError) || error.code !== 'unavailable') throw error;
        const next = (at + 1) % this.urls.length;
        // Of calls that fail at one node at the same time, only one moves on for all: each goes through the nodes by itself.
        if (this.#best === at) this.#best = next;
        at = next;
        if (attempt >= tries) throw error;
      }
    }
  }

  async requestFrom(url: string, name: RouteName, input: AnyInput, signal: AbortSignal): Promise<Response> {
    const route: Route = routes[name];
    const headers: Record<string, string> = {};
    if (route.access !== 'public') headers.authorization = `Bearer ${await this.#token()}`;
    if (input.body !== undefined) headers['content-type'] = 'application/json';
    const body = input.body === undefined ? {} : { body: JSON.stringify(input.body) };
    const address = `${url}${fillPath(route.path, input.params)}${queryText(input.query)}`;
    const response = await this.fetch(address, { method: route.method, headers, ...body }, signal);
    if (response.ok) return response;
    throw await readError(response);
  }

  /** `fetch` with a limit on how long the answer may take to begin, and failures as CiErrors. */
  async fetch(address: string, init: RequestInit, signal: AbortSignal, given?: number): Promise<Response> {
    const limitMs = given ?? this.options.answerMs ?? ANSWER_MS;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error(l10n.t('no answer within {0} s', limitMs / 1000))), limitMs);
    const fetch = this.options.fetch ?? globalThis.fetch;
    try {
      return await fetch(address, { ...init, signal: AbortSignal.any([signal, limit.signal]) });
    } catch (error) {
      signal.throwIfAborted();
      const why = limit.signal.aborted ? limit.signal.reason : reasonOf(error);
      throw new CiError(
        'unavailable',
        l10n.t('Cannot reach the node at {0}: {1}', new URL(address).origin, describeError(why)),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #token(): Promise<string> {
    const { token } = this.options;
    return typeof token === 'function' ? await token() : token;
  }
}

/** `fetch` itself says no more than that it has failed. */
function reasonOf(error: unknown): unknown {
  return error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
}

/** Turns an answer that is a failure into what the node meant by it. */
export async function readError(response: Response): Promise<CiError> {
  const text = await response.text().catch(() => '');
  try {
    const { error } = ErrorBody.parse(JSON.parse(text));
    return new CiError(error.code, error.message, { cause: `request ${error.requestId}` });
  } catch {
    const code = response.status >= 500 ? 'unavailable' : 'invalid';
    return new CiError(
      code,
      l10n.t(
        'Cannot understand the answer of {0} as it is not one of Simple CI: status {1}, {2}',
        response.url,
        response.status,
        quote(text.slice(0, 100)),
      ),
    );
  }
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    throw new CiError(
      'unavailable',
      l10n.t('Cannot read the answer of {0}: it was cut, or is not JSON', response.url),
      {
        cause: error,
      },
    );
  }
}

/** A submission without an id gets one here, so that it can be said twice and is done once. */
function withId(name: RouteName, input: AnyInput): AnyInput {
  const body = input.body as { id?: string; task?: { priority?: number } } | undefined;
  if (name !== 'submitTask' || !body || body.id !== undefined) return input;
  return {
    ...input,
    body: { ...body, id: newTaskId(body.task?.priority ?? DEFAULT_PRIORITY, Date.now(), Math.random) },
  };
}

function isRepeatable(name: RouteName, { body }: AnyInput): boolean {
  const { method, repeatable }: Route = routes[name];
  if (repeatable === 'with-id') return (body as { id?: string } | undefined)?.id !== undefined;
  return method !== 'POST' || repeatable === true;
}

function fillPath(path: string, params: Readonly<Record<string, string>> = {}): string {
  return path
    .replace(/:([a-z]+)/gi, (_, name: string) => encodeURIComponent(params[name] ?? ''))
    .replace('*', () => (params['*'] ?? '').split('/').map(encodeURIComponent).join('/'));
}

function queryText(query: Readonly<Record<string, unknown>> = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(Object.fromEntries(pairs.map(([name, value]) => [name, String(value)]))).toString();
  return text && `?${text}`;
}
