import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { RouteBody, RouteName, RouteParams, RouteQuery, RouteResponse, Routes } from '../../shared/api.ts';
import type { Principal } from './authorize.ts';

/** A request whose parts are what the route's schemas say, from somebody who may make it. */
export interface ApiRequest<N extends RouteName> {
  readonly params: RouteParams<N>;
  readonly query: RouteQuery<N>;
  readonly body: RouteBody<N>;
  readonly principal: Routes[N]['access'] extends 'public' ? undefined : Principal;
  /** Fires when the client is gone, or the node gives up on it. */
  readonly signal: AbortSignal;
  /** For routes whose body is bytes. */
  readonly incoming: IncomingMessage;
}

/** An answer that is not JSON. */
export interface RawAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Readable;
}

/** Undefined: no content. */
export type Answer<N extends RouteName> = RouteResponse<N> extends undefined ? RawAnswer | undefined : RouteResponse<N>;

export type Handler<N extends RouteName> = (request: ApiRequest<N>) => Promise<Answer<N>>;

/** One handler for each route of the table. */
export type Handlers = { readonly [N in RouteName]: Handler<N> };
