/** The least that must be said. */
const LEAST = { etcd: { evaluation: { enabled: true } }, s3: { url: 's3://builds?region=eu-central-1' } };

const OWN_ETCD = {
  endpoints: ['https://etcd-0.etcd:2379', 'https://etcd-1.etcd:2379'],
  tls: { existingSecret: 'etcd-client', certKey: 'tls.crt', keyKey: 'tls.key' },
  auth: { user: 'simple-ci', existingSecret: 'etcd-user' },
};

/** A certificate of nobody: what the tests of the adapter use is made as they run. */
const SCALED = { ...LEAST, node: { slots: 2, labels: ['linux', 'arch=arm64'] } };

/** Values of the chart, each a way in which somebody installs it. */
export const CHART_CASES: Readonly<Record<string, object>> = {
  least: LEAST,
  'by processor time': { ...LEAST, autoscaling: { mode: 'cpu', maxReplicas: 40 } },
  'by demand, external': { ...SCALED, autoscaling: { mode: 'external' } },
  'by demand, KEDA': { ...SCALED, etcd: OWN_ETCD, autoscaling: { mode: 'keda', minReplicas: 0 } },
  'by demand, self': { ...SCALED, autoscaling: { mode: 'self' } },
  'not scaled': { ...LEAST, replicaCount: 3, autoscaling: { mode: 'none' } },
  'no rights in Kubernetes': { ...LEAST, podMarks: { enabled: false }, autoscaling: { mode: 'none' } },
  'tasks in pods of their own': {
    ...SCALED,
    autoscaling: { mode: 'keda' },
    podMarks: { enabled: false },
    executor: {
      kind: 'kubernetes',
      podTemplate: {
        image: 'debian:bookworm',
        imagePullPolicy: 'Always',
        imagePullSecrets: [{ name: 'registry' }],
        resources: { requests: { cpu: '500m' }, limits: { memory: '1Gi' } },
        labels: { team: 'build' },
        runtimeClassName: 'gvisor',
        hostUsers: false,
      },
      networkPolicy: { egress: [{ to: [{ namespaceSelector: {} }] }] },
    },
  },
  everything: {
    nameOverride: 'builds',
    cluster: { id: 'acme/ci' },
    image: { repository: 'registry.example.com/simple-ci', digest: `sha256:${'0123456789abcdef'.repeat(4)}` },
    imagePullSecrets: [{ name: 'registry' }],
    etcd: OWN_ETCD,
    s3: { url: 's3://builds/ci?endpoint=https://s3.example.com&region=local', existingSecret: 's3' },
    node: {
      slots: 4,
      labels: ['linux', 'x64'],
      logLevel: 'debug',
      secretsKey: { existingSecret: 'secrets-key' },
      terminationGracePeriodSeconds: 7200,
      preStopSleepSeconds: 5,
      workspace: { ephemeralVolume: { storageClassName: 'fast', size: '100Gi' } },
      extraArgs: ['--json'],
      extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
      extraVolumes: [{ name: 'cache', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'cache', mountPath: '/cache' }],
    },
    autoscaling: { mode: 'self', minReplicas: 2, maxReplicas: 50 },
    podMarks: { admissionPolicy: true },
    serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/simple-ci' } },
    service: { type: 'LoadBalancer', annotations: { 'example.com/internal': 'true' } },
    ingress: {
      enabled: true,
      className: 'nginx',
      annotations: { 'nginx.ingress.kubernetes.io/proxy-read-timeout': '3600' },
      hosts: ['ci.example.com'],
      tls: [{ secretName: 'ci-tls', hosts: ['ci.example.com'] }],
    },
    httpRoute: { enabled: true, parentRefs: [{ name: 'gateway' }], hostnames: ['ci.example.com'] },
    networkPolicy: { from: [{ namespaceSelector: { matchLabels: { team: 'build' } } }] },
    metrics: {
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' }, tokenSecret: { name: 'viewer' } },
      rules: { enabled: true },
      dashboard: { enabled: true },
    },
    podAnnotations: { 'example.com/a': 'b' },
    podLabels: { team: 'build' },
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'ci', operator: 'Exists', effect: 'NoSchedule' }],
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
    ],
    priorityClassName: 'ci',
    runtimeClassName: 'gvisor',
  },
};
