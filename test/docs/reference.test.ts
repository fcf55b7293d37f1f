import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { referenceFiles } from '../../scripts/reference.ts';
import { staleFiles } from '../../scripts/write-generated.ts';
import { ERROR_STATUS } from '../../shared/errors.ts';
import { AttemptEnd, Outcome, StepResult } from '../../shared/result.ts';
import { ClientMessage, ServerMessage } from '../../shared/socket-protocol.ts';
import { Source, Step, TaskSpec } from '../../shared/task.ts';
import { textOf } from './documents.ts';

test('commands, routes, metrics and what hostile tasks get are described as they are (else: node scripts/run.mjs scripts/reference.ts)', async () => {
  assert.deepEqual(await staleFiles(await referenceFiles()), []);
});

test('docs/task.md describes every field, source, outcome and variable', () => {
  const words = [
    ...Object.keys(TaskSpec.shape),
    ...Object.keys(Step.shape),
    ...Source.options.map(({ shape }) => shape.type.value),
    ...Outcome.options,
    ...StepResult.shape.outcome.options,
    ...AttemptEnd.options,
    ...variablesOfTasks(),
  ];
  assert.deepEqual(missing('docs/task.md', words), []);
});

test('docs/api.md describes every error code with its status', () => {
  const rows = [...textOf('docs/api.md').matchAll(/^\| `([\w-]+)` +\| (\d{3}) +\|/gm)];
  assert.deepEqual(Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)])), ERROR_STATUS);
});

test('docs/api.md describes every message of the WebSocket', () => {
  assert.deepEqual(missing('docs/api.md', typesOf(ServerMessage)), []);
  const text = textOf('docs/api.md');
  assert.deepEqual(
    typesOf(ClientMessage).filter(type => !text.includes(`"type":"${type}"`)),
    [],
  );
});

/** The values of `type` in a union of messages. */
function typesOf(messages: z.ZodType): string[] {
  const text = JSON.stringify(z.toJSONSchema(messages, { io: 'input' }));
  const found = [...text.matchAll(/"type":\{"type":"string","const":"([\w-]+)"/g)].map(match => match[1] ?? '');
  assert.ok(found.length >= 3);
  return found;
}

/** Those that are nowhere written as `word`. */
function missing(file: string, words: readonly string[]): string[] {
  const text = textOf(file);
  return words.filter(word => !text.includes(`\`${word}\``));
}

function variablesOfTasks(): string[] {
  const source = textOf('node-runtime/runner/task-environment.ts');
  return [...source.matchAll(/^ {4}([A-Z_]+):/gm)].map(match => match[1] ?? '');
}
