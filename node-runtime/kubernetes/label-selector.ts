import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

export type Labels = Readonly<Record<string, string>>;

/**
 * What Kubernetes writes a label selector as: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, with commas between. All
 * must hold; a label that is not there satisfies `!=` and `notin`. Throws `invalid` for anything else.
 */
export function parseLabelSelector(text: string): (labels: Labels) => boolean {
  const parts = text.trim() === '' ? [] : text.split(/,(?![^(]*\))/);
  const requirements = parts.map(part => parseRequirement(part.trim(), text));
  return labels => requirements.every(holds => holds(labels));
}

const KEY = '[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?';
const VALUE = '(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?';
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const EQUAL = new RegExp(`^(${KEY})\\s*(=|==|!=)\\s*(${VALUE})$`);
const THERE = new RegExp(`^(!?)\\s*(${KEY})$`);
const ONE_VALUE = new RegExp(`^${VALUE}$`);

function parseRequirement(part: string, whole: string): (labels: Labels) => boolean {
  const set = SET.exec(part);
  if (set) return oneOf(set[1]!, parseValues(set[3]!, whole), set[2] === 'in');
  const equal = EQUAL.exec(part);
  if (equal) return oneOf(equal[1]!, [equal[3]!], equal[2] !== '!=');
  const there = THERE.exec(part);
  if (there) return labels => Object.hasOwn(labels, there[2]!) === (there[1] === '');
  throw unreadable(whole, part);
}

function parseValues(text: string, whole: string): string[] {
  const values = text.split(',').map(value => value.trim());
  const wrong = values.find(value => !ONE_VALUE.test(value));
  if (wrong !== undefined) throw unreadable(whole, wrong);
  return values;
}

function oneOf(key: string, values: readonly string[], isWanted: boolean): (labels: Labels) => boolean {
  return labels => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    return (value !== undefined && values.includes(value)) === isWanted;
  };
}

function unreadable(whole: string, part: string): CiError {
  return new CiError(
    'invalid',
    `Cannot read the label selector ${quote(whole)} as this is no requirement: ${quote(part)}`,
  );
}
