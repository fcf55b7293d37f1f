import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PodObject } from '../../node-runtime/pods/pod-object.ts';
import { lossOf, startTrouble } from '../../node-runtime/pods/pod-trouble.ts';
import { SandboxLost } from '../../node-runtime/runner/sandbox.ts';
import { SourceUnavailable } from '../../node-runtime/workspace/source-unavailable.ts';

const MINUTE_MS = 60_000;

function podWith(status: object, metadata: object = {}): PodObject {
  return PodObject.parse({ metadata: { name: 'p', uid: '1', ...metadata }, status });
}

const task = (state: object) => ({ containerStatuses: [{ name: 'task', state }] });
const prepare = (state: object) => ({ initContainerStatuses: [{ name: 'prepare', state }] });
const pull = (message: string) => task({ waiting: { reason: 'ImagePullBackOff', message } });
const ended = (exitCode: number, more: object = {}) => ({ terminated: { exitCode, reason: 'Error', ...more } });

/** In one word: what an attempt comes to by it. */
function kindOf(error: Error | undefined): string {
  if (error === undefined) return 'waits';
  if (error instanceof SandboxLost) return error.end;
  if (error instanceof SourceUnavailable) return 'source';
  return (error as { code?: string }).code ?? 'bug';
}

describe('a pod that has not come', () => {
  const cases: readonly [string, PodObject | undefined, string, { minutes?: number; image?: string }?][] = [
    ['waits for a place', podWith({ phase: 'Pending' }), 'waits'],
    ['waits for a place for too long', podWith({ phase: 'Pending' }), 'unavailable', { minutes: 11 }],
    ['fetches its image', podWith(task({ waiting: { reason: 'ContainerCreating' } })), 'waits', { minutes: 3 }],
    ['names an image that does not exist', podWith(pull('manifest unknown')), 'invalid'],
    ['may not have its image', podWith(pull('pull access denied, repository does not exist')), 'invalid'],
    ['has an image with a name that is none', podWith(task({ waiting: { reason: 'InvalidImageName' } })), 'invalid'],
    ['meets a registry that does not answer', podWith(pull('dial tcp: i/o timeout')), 'waits'],
    ['meets one that does not answer for long', podWith(pull('dial tcp: i/o timeout')), 'source', { minutes: 3 }],
    ['cannot have the image of the cluster', podWith(pull('not found')), 'unavailable', { image: '' }],
    [
      'cannot have the image of the node',
      podWith(prepare({ waiting: { reason: 'ErrImagePull', message: 'not found' } })),
      'waits',
    ],
    [
      'cannot start anything in its image',
      podWith(task({ waiting: { reason: 'RunContainerError', message: 'exec' } })),
      'invalid',
    ],
    ['ends before it comes', podWith(task(ended(127))), 'invalid'],
    ['does not reach its node', podWith(task(ended(69, { message: 'Cannot reach the node' }))), 'unavailable'],
    ['is killed for its memory', podWith(task(ended(137, { reason: 'OOMKilled' }))), 'crashed'],
    ['is deleted', podWith({ phase: 'Pending' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'place'],
    [
      'is deleted as its container starts',
      podWith(task(ended(1)), { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      'place',
    ],
    ['is killed as its container starts', podWith(task(ended(143))), 'place'],
    ['is gone', undefined, 'place'],
  ];
  for (const [what, pod, expected, { minutes = 0, image = 'tool:1' } = {}] of cases)
    test(`${what}: ${expected}`, () => {
      const start = { role: 'task', image: image === '' ? undefined : image, waitedMs: minutes * MINUTE_MS } as const;
      assert.equal(kindOf(startTrouble(pod, start)), expected);
    });

  test('of the first container only what is its own counts', () => {
    const pod = podWith(prepare({ waiting: { reason: 'ErrImagePull', message: 'not found' } }));
    const trouble = startTrouble(pod, { role: 'prepare', image: 'tool:1', waitedMs: 0 });
    assert.equal(kindOf(trouble), 'unavailable');
    assert.match(trouble!.message, /the image of this node cannot be pulled: ErrImagePull: not found/);
  });
});

describe('a pod that is gone', () => {
  const cases: readonly [string, PodObject | undefined, string, RegExp][] = [
    ['deleted', undefined, 'place', /was deleted/],
    [
      'preempted',
      podWith(
        {
          conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message: 'for p' }],
        },
        { deletionTimestamp: '2026-01-01T00:00:00Z' },
      ),
      'place',
      /was deleted: PreemptionByScheduler for p/,
    ],
    [
      'evicted for the machine’s sake',
      podWith({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' }),
      'place',
      /was evicted: The node was low/,
    ],
    [
      'evicted for what it has written',
      podWith({
        phase: 'Failed',
        reason: 'Evicted',
        message: 'Usage of EmptyDir volume "task" exceeds the limit "10Gi". ',
      }),
      'crashed',
      /was evicted: Usage of EmptyDir volume/,
    ],
    ['killed for its memory', podWith(task(ended(137, { reason: 'OOMKilled' }))), 'crashed', /more memory than it may/],
    [
      'past its deadline',
      podWith({ phase: 'Failed', reason: 'DeadlineExceeded' }),
      'crashed',
      /longer than the timeout/,
    ],
    ['ended by itself', podWith(task(ended(1, { message: 'words' }))), 'place', /by itself, with 1: words/],
    ['not to be reached', podWith({ phase: 'Running' }), 'place', /cannot be reached/],
  ];
  for (const [what, pod, end, message] of cases)
    test(`${what}: ${end}`, () => {
      const loss = lossOf(pod, 'task');
      assert.equal(loss.end, end);
      assert.match(loss.message, message);
    });

  test('before anything of the task runs in it, its node is to blame', () => {
    assert.equal(lossOf(podWith({ phase: 'Running' }), 'prepare').end, 'infrastructure');
  });
});
