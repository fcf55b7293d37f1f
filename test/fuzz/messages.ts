import assert from 'node:assert/strict';
import fc from 'fast-check';
import { z } from 'zod';
import { type Route, type RouteName, routes } from '../../shared/api.ts';
import { ClientMessage, ServerMessage } from '../../shared/socket-protocol.ts';
import { parseGreeting, Report } from '../../node-runtime/pods/pod-messages.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';
import { rawText } from './raw-text.ts';

const anything = fc.oneof(
  fc.constantFrom<unknown>(0, 1, -1, 2 ** 32, 2 ** 53, '', '..', '5'.repeat(26), 'a'.repeat(40), 'SIGKILL', null, true),
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.jsonValue({ maxDepth: 1 }),
);

/** The parts of messages whose form is checked as they come in, by who sends them. */
const SCHEMAS: Readonly<Record<string, readonly z.ZodType[]>> = {
  'a client on a WebSocket': [ClientMessage],
  'a node on a WebSocket': [ServerMessage],
  'a pod': [Report],
  'a client by HTTP': (Object.keys(routes) as RouteName[]).flatMap(name => {
    const { body, query, params } = routes[name] as Route;
    return [body, query, params].filter(schema => schema !== undefined);
  }),
};

export const messageTargets: readonly FuzzTarget[] = [
  ...Object.entries(SCHEMAS).flatMap(([sender, schemas]) =>
    pure(
      `messages: what ${sender} says is refused, or means the same when it is written and read again`,
      500,
      fc.property(fc.oneof(nearly(schemas), rawText), text => {
        for (const schema of schemas) checkRead(schema, text);
      }),
    ),
  ),
  ...pure(
    'messages: only a greeting is read as one',
    300,
    fc.property(
      fc.oneof(rawText, fc.stringMatching(/^(control|stream) [0-9a-f]{32}$/), fc.constant('control task')),
      line => {
        const greeting = parseGreeting(line);
        if (greeting)
          assert.equal(line, `${greeting.kind} ${greeting.kind === 'control' ? greeting.role : greeting.id}`);
      },
    ),
  ),
];

function checkRead(schema: z.ZodType, text: string): void {
  const { success, data } = schema.safeParse(jsonOf(text));
  if (success) assert.deepEqual(schema.parse(jsonOf(JSON.stringify(data) ?? '')), data);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // As parameters of addresses are: texts.
  }
}

/** As much of a JSON Schema as is needed to make something that nearly fits. */
interface JsonSchema {
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
}

function nearly(schemas: readonly z.ZodType[]): fc.Arbitrary<string> {
  const likes = schemas.map(schema =>
    like(z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as JsonSchema),
  );
  return fc.oneof(...likes).map(value => JSON.stringify(value));
}

function like(schema: JsonSchema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 5, arbitrary: fitting(schema) }, { weight: 1, arbitrary: anything });
}

function fitting(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { properties, items, additionalProperties } = schema;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map(fitting));
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (items) return fc.array(like(items), { maxLength: 3 });
  if (properties) {
    const fields = Object.entries(properties).map(([key, value]) => [key, like(value)]);
    return fc.record(Object.fromEntries(fields) as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [] });
  }
  if (typeof additionalProperties !== 'object') return anything;
  const names = fc.constantFrom('A', 'b', '__proto__', 'constructor');
  return fc.dictionary(names, like(additionalProperties), { noNullPrototype: true });
}
