/** A stretch of time with a name, as OpenTelemetry has it. Times are milliseconds since 1970. */
export interface Span {
  /** 32 hex digits, the same for all spans of a trace. */
  readonly trace: string;
  /** 16 hex digits. */
  readonly id: string;
  readonly parent?: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Why it counts as failed. Absent: it does not. */
  readonly failure?: string;
}

/** Takes spans and sends them somewhere, some time. Never rejects, never waits: what cannot be sent is dropped. */
export interface SpanSink extends AsyncDisposable {
  add(spans: readonly Span[]): void;
}
