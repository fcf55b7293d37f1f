import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PodTemplate } from '../../node-runtime/pods/pod-template.ts';
import { CONTAINER_LABEL } from '../../shared/container-label.ts';
import { poolName } from '../../shared/pools.ts';
import { kustomizeBase } from '../../scripts/kustomize-base.ts';
import { staleFiles } from '../../scripts/write-generated.ts';
import { type Manifest, manifestsIn, refusal, render, renderText, requireHelm } from '../support/helm.ts';
import { schemaProblem, unknownFields } from '../support/kubernetes-schemas.ts';
import { insecurities } from '../support/pod-security.ts';
import { CHART_CASES } from './chart-cases.ts';

const golden = (name: string) => fileURLToPath(new URL(`golden/${name.replace(/\W+/g, '-')}.yaml`, import.meta.url));
const LEAST = CHART_CASES.least!;

/** Those that differ at each rendering: keys that Helm makes, and what they sign. */
function withoutKeys(text: string): string {
  return text.replace(/^(\s*(?:ca\.crt|tls\.crt|tls\.key|caBundle):) .*$/gm, '$1 MADE');
}

function podSpecs(manifests: readonly Manifest[]): { readonly name: string; readonly spec: Manifest }[] {
  return manifests.flatMap(({ kind, metadata, spec }) => {
    if (kind === 'Pod') return [{ name: metadata.name, spec }];
    return spec?.template?.spec ? [{ name: metadata.name, spec: spec.template.spec }] : [];
  });
}

for (const [name, values] of Object.entries(CHART_CASES)) {
  describe(`the chart, ${name}`, () => {
    let manifests: Manifest[] = [];
    before(async () => {
      manifests = await render(values).catch(() => []);
    });

    test('is what was looked at', async t => {
      if (!requireHelm(t)) return;
      const text = withoutKeys(await renderText(values));
      if (process.env.UPDATE_GOLDEN) await writeFile(golden(name), text);
      assert.equal(text, await readFile(golden(name), 'utf8'), 'with UPDATE_GOLDEN=1 the file is written anew');
    });

    test('keeps to the schemas of Kubernetes', async t => {
      if (!requireHelm(t)) return;
      assert.ok(manifests.length > 5);
      const problems = await Promise.all(manifests.map(schemaProblem));
      assert.deepEqual(
        problems.filter(problem => problem !== undefined),
        [],
      );
    });

    test('runs nothing that the restricted pod security standard forbids', t => {
      if (!requireHelm(t)) return;
      const pods = podSpecs(manifests);
      assert.ok(pods.length >= 2);
      assert.deepEqual(
        pods.flatMap(({ name: pod, spec }) => insecurities(spec).map(problem => `${pod}: ${problem}`)),
        [],
      );
    });

    test('lies in one namespace, but for what has none, and is found by its release', t => {
      if (!requireHelm(t)) return;
      const CLUSTER_WIDE = /^(ClusterRole|ClusterRoleBinding|APIService|ValidatingAdmissionPolicy(Binding)?)$/;
      for (const { kind, metadata } of manifests) {
        const expected = CLUSTER_WIDE.test(kind) ? undefined : kind === 'RoleBinding' ? metadata.namespace : 'build';
        assert.equal(metadata.namespace, expected, `${kind} ${metadata.name}`);
        const labels = metadata.labels as Record<string, string>;
        assert.equal(labels['app.kubernetes.io/instance'], 'ci', `${kind} ${metadata.name}`);
      }
    });
  });
}

test('the chart has no field that Kubernetes does not know', async t => {
  if (!requireHelm(t)) return;
  const all = await Promise.all(Object.values(CHART_CASES).map(values => render(values)));
  const typo = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [], restartPolice: 'Never' },
  };
  assert.match(await unknownFields([typo]), /restartPolice/);
  assert.equal(await unknownFields(all.flat()), '');
});

test('the base for kustomize is made of the chart as it is', async t => {
  if (!requireHelm(t)) return;
  assert.deepEqual(await staleFiles(await kustomizeBase()), [], 'node scripts/kustomize-base.ts writes it anew');
});

test('the example of an overlay builds on it', async t => {
  const example = fileURLToPath(new URL('../../deploy/kubernetes/example', import.meta.url));
  const built = await promisify(execFile)('kubectl', ['kustomize', example]).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (!built) return t.skip('kubectl is not installed');
  const manifests = manifestsIn(built.stdout);
  const { spec } = manifests.find(({ kind }) => kind === 'Deployment')!.spec.template;
  assert.ok(manifests.every(({ metadata }) => metadata.namespace === 'build'));
  const [{ image, env }] = spec.containers;
  assert.equal(image, 'registry.example.com/simple-ci:0.1.0');
  assert.deepEqual(
    env.filter(({ name }: { name: string }) => name === 'SIMPLE_CI_CLUSTER'),
    [{ name: 'SIMPLE_CI_CLUSTER', value: 'acme/ci' }],
  );
});

describe('the chart refuses', () => {
  const cases: [string, object, RegExp][] = [
    ['to be installed without an etcd', { s3: { url: 's3://b' } }, /there is no etcd: set etcd\.endpoints/],
    ['two etcds', { ...LEAST, etcd: { endpoints: ['http://e:2379'], evaluation: { enabled: true } } }, /two etcds/],
    ['to be installed without an S3', { etcd: { evaluation: { enabled: true } } }, /there is no S3: set s3\.url/],
    [
      'a user of etcd without a password',
      { s3: { url: 's3://b' }, etcd: { endpoints: ['http://e:2379'], auth: { user: 'u' } } },
      /set etcd\.auth\.existingSecret/,
    ],
    [
      'to scale by demand when slots are not known',
      { ...LEAST, autoscaling: { mode: 'keda' } },
      /set node\.slots or autoscaling\.slotsPerPod/,
    ],
    [
      'to run tasks in pods when it is not known how many',
      { ...LEAST, executor: { kind: 'kubernetes' } },
      /executor\.kind kubernetes\) as it is not known how many a node may have at once: set node\.slots/,
    ],
    [
      'to scale itself from no pod',
      { ...LEAST, autoscaling: { mode: 'self', minReplicas: 0 } },
      /no pod would be there to start another/,
    ],
    [
      'more pods at least than at most',
      { ...LEAST, autoscaling: { minReplicas: 3, maxReplicas: 2 } },
      /minReplicas is more than .*: 3, 2/,
    ],
    [
      'to scale by demand under a name that no label can hold',
      { ...CHART_CASES['by demand, external'], cluster: { id: `acme/${'c'.repeat(59)}` } },
      /at most 63 characters, and a letter or digit at its end: set another cluster\.id: "acme\.c{59}"/,
    ],
    [
      'a Secret for the adapter whose authority it cannot see',
      { ...CHART_CASES['by demand, external'], metricsAdapter: { tls: { existingSecret: 'own' } } },
      /its Secret is not there, or has no ca\.crt: own\. .* set metricsAdapter\.tls\.caBundle or injectFrom/,
    ],
    [
      'an authority that is not that of the certificate which it makes itself',
      { ...CHART_CASES['by demand, external'], metricsAdapter: { tls: { injectFrom: 'build/metrics' } } },
      /Cannot use metricsAdapter\.tls\.caBundle or injectFrom .* set metricsAdapter\.tls\.existingSecret/,
    ],
    ['a value that it does not know', { ...LEAST, nodes: { slots: 2 } }, /additional properties 'nodes' not allowed/],
    [
      'a mode that it does not know',
      { ...LEAST, autoscaling: { mode: 'hpa' } },
      /'\/autoscaling\/mode': value must be one of/,
    ],
    [
      'an address of etcd without a scheme',
      { ...LEAST, etcd: { endpoints: ['etcd:2379'] } },
      /'\/etcd\/endpoints\/0'.*does not match pattern/,
    ],
    [
      'a ServiceMonitor without a token',
      { ...LEAST, metrics: { serviceMonitor: { enabled: true } } },
      /set metrics\.serviceMonitor\.tokenSecret\.name/,
    ],
  ];
  for (const [what, values, message] of cases)
    test(what, async t => {
      if (!requireHelm(t)) return;
      assert.match(await refusal(values), message);
    });
});

describe('what the chart grants', () => {
  const rolesOf = async (values: object) =>
    (await render(values))
      .filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
      .map(({ metadata, rules }) => [metadata.name, rules]);

  test('is nothing where nothing is asked of Kubernetes, not even a token', async t => {
    if (!requireHelm(t)) return;
    const values = CHART_CASES['no rights in Kubernetes']!;
    assert.deepEqual(await rolesOf(values), []);
    const deployment = (await render(values)).find(({ kind }) => kind === 'Deployment')!;
    assert.equal(deployment.spec.template.spec.automountServiceAccountToken, false);
  });

  test('is to patch pods, for their marks', async t => {
    if (!requireHelm(t)) return;
    assert.deepEqual(await rolesOf(LEAST), [
      ['ci-simple-ci-mark-pods', [{ apiGroups: [''], resources: ['pods'], verbs: ['patch'] }]],
    ]);
  });

  test('is to make, look at and delete pods, where tasks have pods of their own', async t => {
    if (!requireHelm(t)) return;
    const roles = await rolesOf(CHART_CASES['tasks in pods of their own']!);
    assert.deepEqual(roles, [
      ['ci-simple-ci-mark-pods', [{ apiGroups: [''], resources: ['pods'], verbs: ['patch'] }]],
      [
        'ci-simple-ci-task-pods',
        [{ apiGroups: [''], resources: ['pods'], verbs: ['create', 'get', 'list', 'watch', 'delete'] }],
      ],
    ]);
  });

  test('keeps pods of tasks from what clouds tell their machines, where nothing else is said', async t => {
    if (!requireHelm(t)) return;
    const values = CHART_CASES['tasks in pods of their own']! as { executor: object };
    const manifests = await render({ ...values, executor: { ...values.executor, networkPolicy: {} } });
    const policy = manifests.find(it => it.kind === 'NetworkPolicy' && it.metadata.name.endsWith('-task-pods'))!;
    for (const range of ['169.254.0.0/16', '192.0.0.0/24', '168.63.129.16/32'])
      assert.ok(JSON.stringify(policy.spec).includes(`"${range}"`), range);
  });

  test('lets pods of tasks ask the cluster’s own DNS only, another one, or none', async t => {
    if (!requireHelm(t)) return;
    const values = CHART_CASES['tasks in pods of their own']! as { executor: object };
    const askedAt53 = async (networkPolicy: object) => {
      const manifests = await render({ ...values, executor: { ...values.executor, networkPolicy } });
      const policy = manifests.find(it => it.kind === 'NetworkPolicy' && it.metadata.name.endsWith('-task-pods'))!;
      const rules = policy.spec.egress as { ports?: { port: number }[]; to?: unknown }[];
      return rules.filter(({ ports = [] }) => ports.some(({ port }) => port === 53)).map(({ to }) => to);
    };
    const own = {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
      podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
    };
    const local = { ipBlock: { cidr: '169.254.20.10/32' } };
    assert.deepEqual(await askedAt53({}), [[own]]);
    assert.deepEqual(await askedAt53({ dns: [local] }), [[local]]);
    assert.deepEqual(await askedAt53({ dns: [] }), []);
  });

  test('the template for pods that it makes is one that nodes take, and its pool has their label', async t => {
    if (!requireHelm(t)) return;
    const manifests = await render(CHART_CASES['tasks in pods of their own']!);
    const { data } = manifests.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith('-task-pods'),
    )!;
    const template = PodTemplate.parse(JSON.parse((data as Record<string, string>)['template.json']!));
    assert.deepEqual(template.labels, { 'simple-ci/release': 'ci', team: 'build' });
    const scaled = manifests.find(({ kind }) => kind === 'ScaledObject')!;
    const pool = poolName(['linux', 'arch=arm64', CONTAINER_LABEL]);
    assert.ok(JSON.stringify(scaled.spec).includes(`/demand/${pool}"`), JSON.stringify(scaled.spec));
  });

  test('is to scale the one Deployment, in mode self', async t => {
    if (!requireHelm(t)) return;
    const [, scaling] = await rolesOf(CHART_CASES['by demand, self']!);
    const scale = { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get', 'patch'] };
    assert.deepEqual(scaling, ['ci-simple-ci-scale', [{ ...scale, resourceNames: ['ci-simple-ci'] }]]);
  });
});

test('KEDA hears all that its scaler for etcd asks for: encryption, who asks, and the files', async t => {
  if (!requireHelm(t)) return;
  const told = async (etcd: object) => {
    const manifests = await render({ ...CHART_CASES['by demand, KEDA'], etcd });
    const [authentication] = manifests.filter(({ kind }) => kind === 'TriggerAuthentication');
    const own = manifests.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'ci-simple-ci-keda');
    const parameters: { parameter: string; name: string; key: string }[] = authentication?.spec.secretTargetRef ?? [];
    return parameters.map(({ parameter, name, key }) => `${parameter} ${own?.stringData[key] ?? `${name}/${key}`}`);
  };
  const [endpoints, auth] = [['https://etcd:2379'], { user: 'ci', existingSecret: 'user' }];
  const tls = { existingSecret: 'files', certKey: 'tls.crt', keyKey: 'tls.key' };
  assert.deepEqual(await told({ endpoints, auth, tls }), [
    'tls enable',
    'ca files/ca.crt',
    'cert files/tls.crt',
    'key files/tls.key',
    'username ci',
    'password user/password',
  ]);
  assert.deepEqual(await told({ endpoints }), ['tls enable']);
  const plain = ['http://etcd:2379'];
  const named = ['tls disable', 'username ci', 'password user/password'];
  assert.deepEqual(await told({ endpoints: plain, auth }), named);
  assert.deepEqual(await told({ endpoints: plain }), []);
});

test('the doctor of `helm test` comes by its image, its machine and its way out as nodes do', async t => {
  if (!requireHelm(t)) return;
  const manifests = await render(CHART_CASES.everything!);
  const doctor = manifests.find(({ kind }) => kind === 'Pod')!.spec;
  const { spec: node } = manifests.find(({ kind }) => kind === 'Deployment')!.spec.template;
  for (const field of ['imagePullSecrets', 'nodeSelector', 'tolerations']) {
    assert.ok(node[field], field);
    assert.deepEqual(doctor[field], node[field], field);
  }
  const { env, volumeMounts } = doctor.containers[0];
  assert.ok(env.some(({ name }: { name: string }) => name === 'HTTPS_PROXY'));
  assert.ok(volumeMounts.some(({ name }: { name: string }) => name === 'cache'));
});

test('where Kubernetes is to choose users, none is named, not in pods of tasks either', async t => {
  if (!requireHelm(t)) return;
  const manifests = await render({ ...CHART_CASES['tasks in pods of their own'], user: null });
  const users = podSpecs(manifests).map(({ spec: { securityContext: own } }) => own.runAsUser ?? own.fsGroup);
  assert.deepEqual(users, [undefined, undefined, undefined]);
  const { data } = manifests.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith('-task-pods'),
  )!;
  assert.equal(PodTemplate.parse(JSON.parse((data as Record<string, string>)['template.json']!)).user, null);
});

test('a node knows how large its data folder may become, wherever that lies', async t => {
  if (!requireHelm(t)) return;
  const sizes = async (workspace: object) => {
    const manifests = await render({ ...LEAST, node: { workspace } });
    const { containers, volumes } = manifests.find(({ kind }) => kind === 'Deployment')!.spec.template.spec;
    const told = containers[0].env.find(({ name }: { name: string }) => name === 'SIMPLE_CI_DATA_SIZE');
    const { emptyDir, ephemeral } = volumes.find(({ name }: { name: string }) => name === 'data');
    return [told.value, emptyDir?.sizeLimit ?? ephemeral.volumeClaimTemplate.spec.resources.requests.storage];
  };
  assert.deepEqual(await sizes({}), ['20Gi', '20Gi']);
  assert.deepEqual(await sizes({ sizeLimit: '5Gi' }), ['5Gi', '5Gi']);
  assert.deepEqual(await sizes({ ephemeralVolume: { size: '100Gi' } }), ['100Gi', '100Gi']);
  assert.deepEqual(await sizes({ ephemeralVolume: { storageClassName: 'fast' } }), ['20Gi', '20Gi']);
});

test('a user of as many digits as OpenShift has is written as it is', async t => {
  if (!requireHelm(t)) return;
  const text = await renderText({ ...LEAST, user: 1_000_660_000 });
  const users = [...text.matchAll(/(?:runAsUser|runAsGroup|fsGroup): (\S+)/g)].map(([, user]) => user);
  assert.deepEqual(new Set(users), new Set(['1000660000']));
});

test('a node may have more than the restricted standard where that is said, and only there', async t => {
  if (!requireHelm(t)) return;
  const containerOf = async (node: object) => {
    const manifests = await render({ ...LEAST, node });
    const { spec } = manifests.find(({ kind }) => kind === 'Deployment')!.spec.template;
    return { hostUsers: spec.hostUsers, ...spec.containers[0].securityContext };
  };
  const restricted = {
    hostUsers: undefined,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  };
  assert.deepEqual(await containerOf({}), restricted);
  assert.deepEqual(await containerOf({ securityContext: null }), restricted);
  const more = { capabilities: { add: ['SETUID'] }, procMount: 'Unmasked' };
  assert.deepEqual(await containerOf({ hostUsers: false, securityContext: more }), {
    ...restricted,
    hostUsers: false,
    capabilities: { drop: ['ALL'], add: ['SETUID'] },
    procMount: 'Unmasked',
  });
});

test('how far off too few pods are good enough is left to Kubernetes, unless it is said', async t => {
  if (!requireHelm(t)) return;
  const scaleUp = async (more: object) => {
    const manifests = await render({
      ...CHART_CASES['by demand, external'],
      autoscaling: { mode: 'external', ...more },
    });
    return manifests.find(({ kind }) => kind === 'HorizontalPodAutoscaler')!.spec.behavior.scaleUp;
  };
  assert.equal('tolerance' in (await scaleUp({})), false);
  assert.equal((await scaleUp({ scaleUpTolerance: 0 })).tolerance, '0');
});

test('the authority of a Secret for the adapter can be said, or left to cert-manager', async t => {
  if (!requireHelm(t)) return;
  const registered = async (tls: object) => {
    const values = {
      ...CHART_CASES['by demand, external'],
      metricsAdapter: { tls: { existingSecret: 'own', ...tls } },
    };
    const manifests = await render(values);
    assert.ok(!manifests.some(({ kind }) => kind === 'Secret'));
    const { metadata, spec } = manifests.find(({ kind }) => kind === 'APIService')!;
    return [spec.caBundle, metadata.annotations];
  };
  assert.deepEqual(await registered({ caBundle: 'TUFERQ==' }), ['TUFERQ==', undefined]);
  assert.deepEqual(await registered({ injectFrom: 'build/metrics' }), [
    undefined,
    { 'cert-manager.io/inject-ca-from': 'build/metrics' },
  ]);
});

test('budgets keep what works: busy nodes, and pods of tasks, which no Deployment counts', async t => {
  if (!requireHelm(t)) return;
  const manifests = await render(CHART_CASES['tasks in pods of their own']!);
  const budgets = manifests.filter(({ kind }) => kind === 'PodDisruptionBudget').map(({ spec }) => spec);
  const own = { 'app.kubernetes.io/name': 'simple-ci', 'app.kubernetes.io/instance': 'ci', 'simple-ci/busy': 'true' };
  const tasks = { 'app.kubernetes.io/component': 'task', 'simple-ci/release': 'ci' };
  assert.deepEqual(budgets, [
    { maxUnavailable: 0, selector: { matchLabels: own } },
    { minAvailable: 1_000_000, selector: { matchLabels: tasks } },
  ]);
});
