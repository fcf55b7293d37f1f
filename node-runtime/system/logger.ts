import { pino } from 'pino';
import { describeError } from '../../shared/errors.ts';

/** What a node has to say of itself, to its operator. Fields are few, flat and never secrets. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with fields that are added to every line. */
  child(fields: LogFields): Logger;
}

/** `error` is written with its causes and, for bugs, its stack. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LoggerOptions {
  readonly level?: LogLevel;
  /** One line of text for people instead of JSON for machines. */
  readonly pretty?: boolean;
  /** Where lines go, each with its line break. Default: standard error, synchronously. */
  readonly write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = 'info', pretty = false, write } = options;
  const out = write ? { write } : pino.destination({ dest: 2, sync: true });
  const format = (line: string) => redact(pretty ? prettyLine(line) : line);
  const settings = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: serializeError },
    hooks: { streamWrite: format },
  };
  return wrap(pino(settings, out));
}

/** Hides API tokens, tickets and signed addresses' signatures in whatever holds them. */
export function redact(text: string): string {
  return text
    .replace(/\bsci_([a-z]+)_([0-9a-z]{8})_[0-9A-Za-z]{20,}(_[0-9A-Za-z]+)?/g, 'sci_$1_$2_***')
    .replace(/\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+/g, 'eyJ***')
    .replace(/\b(X-Amz-Signature|X-Amz-Credential|signature)=[^&\s"]+/gi, '$1=***');
}

function wrap(inner: pino.Logger): Logger {
  return {
    debug: (message, fields = {}) => inner.debug(fields, message),
    info: (message, fields = {}) => inner.info(fields, message),
    warn: (message, fields = {}) => inner.warn(fields, message),
    error: (message, fields = {}) => inner.error(fields, message),
    child: fields => wrap(inner.child(fields)),
  };
}

/** A failure that is part of the product is a sentence; anything else is a bug, whose stack is wanted. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return {
    message: describeError(error),
    ...(typeof code === 'string' && { code }),
    ...(error.name !== 'CiError' && { stack: error.stack }),
  };
}

function prettyLine(line: string): string {
  const { time, level, msg, error, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${plain(value)}`);
  const why = error === undefined ? '' : `: ${(error as { message?: string }).message ?? plain(error)}`;
  const stack = (error as { stack?: string } | undefined)?.stack;
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${msg}${why}${fields.join('')}\n${stack ? `${stack}\n` : ''}`;
}

function plain(value: unknown): string {
  return typeof value === 'string' && !/[\s"=]/.test(value) ? value : JSON.stringify(value);
}
