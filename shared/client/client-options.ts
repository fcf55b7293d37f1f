export interface ClientOptions {
  /** One node of the cluster, or several: when one cannot be reached, the next is asked. */
  readonly urls: readonly string[];
  /** An API token, or where to get one each time. */
  readonly token: string | (() => string | Promise<string>);
  /** Default: the global ones. */
  readonly fetch?: typeof globalThis.fetch;
  readonly WebSocket?: typeof globalThis.WebSocket;
  /** How long a stream that once worked tries to get back to any node, in milliseconds. Default: 2 minutes. */
  readonly patienceMs?: number;
  /** How long a node may take until it begins to answer a call, in milliseconds: then the next is asked, or the call fails. Default: 30 s. */
  readonly answerMs?: number;
}
