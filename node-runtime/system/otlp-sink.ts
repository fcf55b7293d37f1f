import { CiError, describeError } from '../../shared/errors.ts';
import type { Clock } from './clock.ts';
import { deadline, neverAborted } from './clock.ts';
import type { Logger } from './logger.ts';
import type { Span, SpanSink } from './span.ts';
import { Wakeup } from './wakeup.ts';

export interface OtlpOptions {
  /** Where a collector takes OTLP over HTTP, such as `http://collector:4318`. */
  readonly url: string;
  /** Headers it asks for. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface OtlpSinkParts extends OtlpOptions {
  /** Of the node, on every span. */
  readonly resource: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Spans that wait; the newest are dropped beyond. */
const MOST_WAITING = 4096;
const MOST_IN_ONE = 512;
const COLLECT_MS = 2000;
const REQUEST_TIMEOUT_MS = 10_000;
/** After a collector that did not take them. */
const PAUSE_MS = 15_000;
/** How long a node that stops waits for its last spans to be taken. */
const LAST_CALL_MS = 5000;

/** Sends spans to a collector of OpenTelemetry, as OTLP in JSON over HTTP, some seconds later and many at once. */
export class OtlpSink implements SpanSink {
  readonly #parts: OtlpSinkParts;
  readonly #waiting: Span[] = [];
  readonly #more = new Wakeup();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #isFailing = false;

  constructor(parts: OtlpSinkParts) {
    this.#parts = parts;
    this.#running = this.#run();
  }

  add(spans: readonly Span[]): void {
    if (this.#waiting.length + spans.length > MOST_WAITING) return;
    this.#waiting.push(...spans);
    this.#more.notify();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    using limit = deadline(this.#parts.clock, LAST_CALL_MS, neverAborted);
    while (this.#waiting.length > 0 && (await this.#sendSome(limit.signal)));
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#waiting.length === 0) await this.#more.wait(signal);
      await clock.sleep(COLLECT_MS, signal).catch(() => undefined);
      if (!signal.aborted && !(await this.#sendSome(signal)))
        await clock.sleep(PAUSE_MS, signal).catch(() => undefined);
    }
  }

  /** @returns whether they were taken; what was not stays for the next time */
  async #sendSome(signal: AbortSignal): Promise<boolean> {
    const some = this.#waiting.slice(0, MOST_IN_ONE);
    if (some.length === 0) return true;
    try {
      await this.#send(some, signal);
      this.#waiting.splice(0, some.length);
      this.#isFailing = false;
      return true;
    } catch (error) {
      if (!signal.aborted) this.#noteFailure(error);
      return false;
    }
  }

  async #send(spans: readonly Span[], signal: AbortSignal): Promise<void> {
    const { url, headers, resource, clock } = this.#parts;
    using limit = deadline(clock, REQUEST_TIMEOUT_MS, signal);
    const response = await fetch(new URL('v1/traces', url.endsWith('/') ? url : `${url}/`), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(otlpOf(spans, resource)),
      signal: limit.signal,
    });
    await response.body?.cancel();
    // What it says is wrong with them would be wrong the next time too: they are not sent again.
    if (response.status < 500 && response.status !== 429) {
      if (!response.ok) this.#noteFailure(new CiError('invalid', `It refuses them: HTTP ${response.status}`));
      return;
    }
    throw new CiError('unavailable', `It answers HTTP ${response.status}`);
  }

  /** Once, until it works again. */
  #noteFailure(error: unknown): void {
    if (!this.#isFailing)
      this.#parts.logger.warn('Cannot send traces', { to: this.#parts.url, error: describeError(error) });
    this.#isFailing = true;
  }
}

/** https://github.com/open-telemetry/opentelemetry-proto/blob/main/docs/specification.md#json-protobuf-encoding */
function otlpOf(spans: readonly Span[], resource: Readonly<Record<string, string>>): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'simple-ci' }, spans: spans.map(otlpSpan) }],
      },
    ],
  };
}

const KIND_INTERNAL = 1;
const STATUS_ERROR = 2;

function otlpSpan({ trace, id, parent, name, start, end, attributes, failure }: Span): object {
  return {
    traceId: trace,
    spanId: id,
    ...(parent !== undefined && { parentSpanId: parent }),
    name,
    kind: KIND_INTERNAL,
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: attributesOf(attributes),
    status: failure === undefined ? {} : { code: STATUS_ERROR, message: failure },
  };
}

function attributesOf(attributes: Readonly<Record<string, string | number | boolean>>): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: otlpValue(value) }));
}

function otlpValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  // Whole numbers of 64 bits are strings in JSON.
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms)) * 1_000_000n);
}
