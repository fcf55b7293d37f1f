import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PodTemplate, readPodTemplate } from '../../node-runtime/pods/pod-template.ts';
import { taskPod, type TaskPodParts } from '../../node-runtime/pods/task-pod.ts';
import { bytesOf, times } from '../../node-runtime/system/quantity.ts';
import type { ClusterId, NodeId, TaskId } from '../../shared/ids.ts';
import type { Manifest } from '../support/helm.ts';
import { schemaProblem, unknownFields } from '../support/kubernetes-schemas.ts';
import { insecurities } from '../support/pod-security.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ALL = PodTemplate.parse({
  image: 'debian:bookworm',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [{ name: 'registry' }],
  resources: { requests: { cpu: '500m', memory: '1.5Gi' }, limits: { memory: 2 ** 31 } },
  storage: '5Gi',
  labels: { team: 'build' },
  annotations: { 'example.com/a': 'b' },
  nodeSelector: { pool: 'ci' },
  tolerations: [{ key: 'ci', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: { nodeAffinity: {} },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
  priorityClassName: 'low',
  runtimeClassName: 'gvisor',
  hostUsers: false,
});

interface Metadata {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

function podOf(changes: Partial<TaskPodParts> = {}): Manifest {
  return taskPod({
    cluster: 'acme/ci' as ClusterId,
    node: 'n1' as NodeId,
    instance: 'i1',
    owner: { name: 'ci-1', uid: 'u1' },
    own: { image: 'simple-ci:1', pullPolicy: 'Always' },
    template: PodTemplate.parse({}),
    task: '501m8fhd552q5vzqya41gde8gp0' as TaskId,
    fence: 9_007_199_254_740_991,
    needs: { image: undefined, slots: 1, timeoutMs: 3_600_000 },
    door: '10.0.0.7:7101',
    key: 'ab'.repeat(32),
    ...changes,
  }) as Manifest;
}

test('the pod of a task is one that Kubernetes knows all of, plain and with all that a template can say', async () => {
  const pods = [podOf(), podOf({ template: ALL })];
  assert.deepEqual(await Promise.all(pods.map(schemaProblem)), [undefined, undefined]);
  assert.equal(await unknownFields(pods), '');
});

test('it keeps to the restricted standard, and has no service account', () => {
  const { spec } = podOf({ template: ALL });
  assert.deepEqual(insecurities(spec, ['task']), []);
  assert.deepEqual([spec.automountServiceAccountToken, spec.serviceAccountName], [false, undefined]);
});

test('its users can be others outside of it, and chosen by Kubernetes', () => {
  const specOf = (template: object) => podOf({ template: PodTemplate.parse(template) }).spec;
  assert.equal(specOf({ hostUsers: false }).hostUsers, false);
  assert.equal('hostUsers' in specOf({}), false);
  const users = ({ securityContext: own }: Manifest) => [own.runAsUser, own.runAsGroup, own.fsGroup, own.runAsNonRoot];
  assert.deepEqual(users(specOf({})), [10_001, 10_001, 10_001, true]);
  assert.deepEqual(users(specOf({ user: null })), [undefined, undefined, undefined, true]);
  assert.throws(() => specOf({ user: 0 }));
});

test('it goes with the pod of its node, which controls it, or `kubectl drain` would refuse its machine', () => {
  const { ownerReferences } = podOf().metadata as unknown as { ownerReferences: object[] };
  assert.deepEqual(ownerReferences, [{ apiVersion: 'v1', kind: 'Pod', name: 'ci-1', uid: 'u1', controller: true }]);
});

test('its name is short enough for a label, also with the largest fence', () => {
  const { name, labels } = podOf().metadata as unknown as Metadata;
  assert.ok(name.length <= 63, name);
  assert.match(labels['simple-ci/cluster'] ?? '', /^[0-9a-f]{32}$/);
});

test('labels of a template cannot hide whose it is', () => {
  const template = PodTemplate.parse({ labels: { 'simple-ci/task': 'another', team: 'build' } });
  const { labels } = podOf({ template }).metadata as unknown as Metadata;
  assert.deepEqual([labels['simple-ci/task'], labels.team], ['501m8fhd552q5vzqya41gde8gp0', 'build']);
});

test('the image of the task wins over that of the template, and that over the node’s', () => {
  const imageOf = (pod: Manifest) => pod.spec.containers[0].image;
  const needs = { image: 'tool:1', slots: 1, timeoutMs: 1000 };
  const images = [podOf({ template: ALL, needs }), podOf({ template: ALL }), podOf()].map(imageOf);
  assert.deepEqual(images, ['tool:1', 'debian:bookworm', 'simple-ci:1']);
});

test('the template says how its images and those of tasks are pulled; the image of the node is as it is in the node’s pod', () => {
  const pullingOf = ({ spec }: Manifest) => [
    spec.initContainers[0].imagePullPolicy,
    spec.containers[0].imagePullPolicy,
    spec.imagePullSecrets,
  ];
  const own = { image: 'simple-ci:1', pullPolicy: 'Always', pullSecrets: [{ name: 'of-the-node' }] };
  const needs = { image: 'tool:1', slots: 1, timeoutMs: 1000 };
  assert.deepEqual(pullingOf(podOf({ own, template: ALL })), ['Always', 'IfNotPresent', [{ name: 'registry' }]]);
  assert.deepEqual(pullingOf(podOf({ own, needs })), ['Always', undefined, [{ name: 'of-the-node' }]]);
  assert.deepEqual(pullingOf(podOf({ own })), ['Always', 'Always', [{ name: 'of-the-node' }]]);
});

test('it can fill no disk, neither by its files nor beside them, unless the template says how much', () => {
  const diskOf = (template: PodTemplate) =>
    [...podOf({ template }).spec.initContainers, ...podOf({ template }).spec.containers].map(({ resources }) => [
      resources.requests['ephemeral-storage'],
      resources.limits['ephemeral-storage'],
    ]);
  assert.deepEqual(diskOf(ALL), Array(2).fill(['0', String(6 * 2 ** 30)]));
  const own = PodTemplate.parse({ resources: { limits: { 'ephemeral-storage': '20Gi' } } });
  assert.deepEqual(diskOf(own), Array(2).fill([undefined, '20Gi']));
  const reserved = PodTemplate.parse({ resources: { requests: { 'ephemeral-storage': '40Gi' } }, storage: '5Gi' });
  assert.deepEqual(diskOf(reserved), Array(2).fill(['40Gi', String(40 * 2 ** 30)]));
});

test('amounts are multiplied by slots in their own unit', () => {
  assert.deepEqual([times('500m', 3), times('1.5Gi', 2), times('2', 1)], ['1500m', '3Gi', '2']);
  assert.deepEqual([bytesOf('10Gi'), bytesOf('1k'), bytesOf('7')], [10 * 2 ** 30, 1000, 7]);
});

test('a template with a mistake is refused by name', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'template.json');
  const refused = async (text: string, message: RegExp) => {
    await writeFile(file, text);
    await assert.rejects(readPodTemplate(file), message);
  };
  await refused('{', /as it is not JSON: /);
  await refused('{"hostNetwork": true}', /Unrecognized key: "hostNetwork"/);
  await refused('{"imagePullPolicy": "always"}', /"imagePullPolicy" is wrong: /);
  await refused('{"storage": "much"}', /"storage" is wrong: must be like 500m, 2 or 4Gi/);
  await assert.rejects(readPodTemplate(join(folder.path, 'none')), /as it cannot be read/);
});
