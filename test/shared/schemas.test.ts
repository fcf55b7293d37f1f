import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaFiles } from '../../scripts/schemas.ts';
import { staleFiles } from '../../scripts/write-generated.ts';
import { TaskSpec } from '../../shared/task.ts';

test('the published JSON Schemas are those of the source (else: node scripts/run.mjs scripts/schemas.ts)', async () => {
  assert.deepEqual(await staleFiles(schemaFiles()), []);
});

test('the schema of task.json describes every field of a task', () => {
  const schema = JSON.parse(schemaFiles().get('docs/schemas/task.schema.json') ?? '{}');
  assert.deepEqual(Object.keys(schema.properties).sort(), Object.keys(TaskSpec.shape).sort());
  assert.deepEqual(schema.required, ['name', 'steps']);
});

test('the schema of simple-ci.yaml takes a command, a list of steps, or a task', () => {
  const schema = JSON.parse(schemaFiles().get('docs/schemas/simple-ci.schema.json') ?? '{}');
  const kinds = schema.properties.tasks.additionalProperties.anyOf.map(({ type }: { type: string }) => type);
  assert.deepEqual(kinds, ['string', 'array', 'object']);
});
