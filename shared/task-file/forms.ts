import { z } from 'zod';
import type { Path } from './problem.ts';
import { TaskFile } from './task-file-schema.ts';

/** One form that a part of a task file may have, as JSON Schema says it. */
export type Form = z.core.JSONSchema.BaseSchema;

/** All forms that what stands at this path may have; none where nothing is known of it. */
export function formsAt(path: Path): readonly Form[] {
  const file = z.toJSONSchema(TaskFile, { io: 'input' });
  return path.reduce<readonly Form[]>((forms, part) => forms.flatMap(form => formsIn(form, part)), formsOf(file));
}

/** The keys that a map at this path may have, with what is known of each. */
export function keysAt(path: Path): ReadonlyMap<string, Form> {
  const keys = formsAt(path).flatMap(({ properties = {} }) => Object.entries(properties));
  return new Map(keys.filter((entry): entry is [string, Form] => typeof entry[1] === 'object'));
}

/** Each form by itself. */
export function formsOf(form: unknown): readonly Form[] {
  if (typeof form !== 'object' || form === null) return [];
  const { anyOf } = form as Form;
  return anyOf ? anyOf.flatMap(formsOf) : [form as Form];
}

/** The words among which a value of this form must be, if they are few. */
export function choicesOf(form: Form): readonly string[] {
  return formsOf(form).flatMap(({ enum: words, const: only, type }) => {
    if (words) return words.map(String);
    if (only !== undefined) return [String(only)];
    return type === 'boolean' ? ['true', 'false'] : [];
  });
}

function formsIn({ type, properties, additionalProperties, items }: Form, part: string | number): readonly Form[] {
  if (type === 'array') return typeof part === 'number' ? formsOf(items) : [];
  if (type !== 'object') return [];
  const own = properties && Object.hasOwn(properties, part) ? properties[part] : undefined;
  return formsOf(own ?? additionalProperties);
}
