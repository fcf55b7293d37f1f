import { unitsToMs } from '../../shared/duration.ts';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { OptionSpec } from './command.ts';

/** What the words mean for this option, or its default when there are none. `name` is what a message calls it. */
export function readOptionValue(spec: OptionSpec, words: readonly string[] | undefined, name: string): unknown {
  switch (spec.kind) {
    case 'flag':
      return words !== undefined;
    case 'list':
      return words ?? [];
    default: {
      const word = words?.at(-1) ?? spec.default;
      return word === undefined ? undefined : readWord(spec, String(word), name);
    }
  }
}

/** The same from an environment variable: a list is separated by commas, a flag is 1 or 0. */
export function readVariable(spec: OptionSpec, value: string, name: string): unknown {
  if (spec.kind === 'flag') return readSwitch(value, name);
  if (spec.kind !== 'list') return readWord(spec, value, name);
  return value
    .split(',')
    .map(word => word.trim())
    .filter(word => word !== '');
}

function readWord(spec: OptionSpec, word: string, name: string): unknown {
  switch (spec.kind) {
    case 'number':
      return readNumber(spec, word, name);
    case 'duration':
      return readDuration(word, name);
    case 'choice':
      if (spec.choices?.includes(word)) return word;
      throw refuse(name, `it is none of ${spec.choices?.join(', ')}`, word);
    default:
      return word;
  }
}

function readNumber({ min = 0, max = Number.MAX_SAFE_INTEGER }: OptionSpec, word: string, name: string): number {
  const value = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  if (value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw refuse(name, `it must be a whole number ${range}`, word);
}

function readDuration(word: string, name: string): number {
  const ms = /^\d+$/.test(word) ? Number(word) * 1000 : unitsToMs(word);
  if (Number.isFinite(ms)) return Math.round(ms);
  throw refuse(name, 'it is not like 90s, 10m, 1h30m or a number of seconds', word);
}

function readSwitch(value: string, name: string): boolean {
  if (/^(1|true|yes|on)$/i.test(value)) return true;
  if (/^(0|false|no|off)$/i.test(value)) return false;
  throw refuse(name, 'it must be 1 or 0', value);
}

function refuse(name: string, why: string, value: string): CiError {
  return new CiError('invalid', `Cannot use ${name} as ${why}: ${quote(value)}`);
}
