import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';
import { kubernetesOptions } from '../kubernetes-options.ts';
import { isolationOption, storeOptions } from '../store-options.ts';

export const node = defineCommand({
  name: 'node',
  summary: 'Run a node: form a cluster, or join it',
  description: `The first node with a cluster id forms the cluster, every further one joins it. Without --etcd the cluster is this machine alone.

SIGTERM, Ctrl-C or the end of its terminal drains it: it claims nothing more, lets running tasks finish and hands back what is left. A second one hands everything back at once.`,
  options: {
    cluster: {
      kind: 'text',
      value: 'ID',
      summary: 'Which cluster, such as acme/ci',
      required: true,
      env: 'SIMPLE_CI_CLUSTER',
    },
    ...storeOptions,
    listen: {
      kind: 'text',
      value: 'HOST:PORT',
      summary: 'Where it serves the API; port 0 takes a free one',
      default: '127.0.0.1:7100',
      env: 'SIMPLE_CI_LISTEN',
    },
    advertise: {
      kind: 'text',
      value: 'URL',
      summary: 'Where others reach this node; its listening address if absent',
      env: 'SIMPLE_CI_ADVERTISE',
    },
    'host-name': {
      kind: 'list',
      value: 'NAME',
      summary: 'A further name under which it may be addressed',
      env: 'SIMPLE_CI_HOST_NAME',
    },
    slots: {
      kind: 'number',
      value: 'N',
      summary: 'How many tasks it runs at once; as many as it has cores, by its control group too, if absent',
      max: 10_000,
      env: 'SIMPLE_CI_SLOTS',
    },
    labels: {
      kind: 'list',
      short: 'l',
      value: 'A,B',
      summary: 'What tasks may ask for in a node',
      env: 'SIMPLE_CI_LABELS',
    },
    'node-id': { kind: 'text', value: 'ID', summary: 'Its name; the host’s if absent', env: 'SIMPLE_CI_NODE_ID' },
    data: {
      kind: 'text',
      value: 'DIR',
      summary: 'For caches, and for what is not in etcd and S3',
      env: 'SIMPLE_CI_DATA',
    },
    'data-size': {
      kind: 'text',
      value: 'SIZE',
      summary: 'How large that may become, such as 20Gi: caches, and what pods of tasks hand over, stay far below it',
      env: 'SIMPLE_CI_DATA_SIZE',
    },
    isolation: isolationOption,
    'drain-timeout': {
      kind: 'duration',
      value: 'TIME',
      summary: 'How long running tasks may take to finish when it is told to stop',
      default: '10m',
      env: 'SIMPLE_CI_DRAIN_TIMEOUT',
    },
    'termination-grace': {
      kind: 'duration',
      value: 'TIME',
      summary: 'When it is killed after it was told to stop: what still runs is handed back 15 s before',
      env: 'SIMPLE_CI_TERMINATION_GRACE',
    },
    pod: {
      kind: 'text',
      value: 'NAME',
      summary: 'Its pod in Kubernetes, which is told when the node is busy',
      env: 'SIMPLE_CI_POD',
    },
    ...kubernetesOptions,
    executor: {
      kind: 'choice',
      choices: ['process', 'kubernetes'],
      value: 'KIND',
      summary: 'Where tasks run: as processes of this machine, or with --pod each in a pod of its own',
      default: 'process',
      env: 'SIMPLE_CI_EXECUTOR',
    },
    'pod-listen': {
      kind: 'text',
      value: 'HOST:PORT',
      summary: 'Where the pods of tasks connect to, at the address of this node’s pod',
      default: ':7101',
      env: 'SIMPLE_CI_POD_LISTEN',
    },
    'pod-template': {
      kind: 'text',
      value: 'FILE',
      summary: 'What the pods of tasks are like: JSON with image, resources, storage, runtimeClassName and more',
      env: 'SIMPLE_CI_POD_TEMPLATE',
    },
    'scale-deployment': {
      kind: 'text',
      value: 'NAME',
      summary: 'Nodes scale this Deployment, theirs, themselves; with --pod and --scale-max',
      env: 'SIMPLE_CI_SCALE_DEPLOYMENT',
    },
    'scale-min': {
      kind: 'number',
      value: 'N',
      summary: 'Pods that it has at least',
      min: 1,
      default: 1,
      env: 'SIMPLE_CI_SCALE_MIN',
    },
    'scale-max': {
      kind: 'number',
      value: 'N',
      summary: 'Pods that it has at most',
      min: 1,
      env: 'SIMPLE_CI_SCALE_MAX',
    },
    'scale-in-after': {
      kind: 'duration',
      value: 'TIME',
      summary: 'How long fewer pods must have been enough before there are fewer',
      default: '5m',
      env: 'SIMPLE_CI_SCALE_IN_AFTER',
    },
    attached: {
      kind: 'flag',
      summary: 'For a program that starts it: says a token with `ready`, and drains when standard input ends',
    },
    'say-token': {
      kind: 'flag',
      summary: 'For a program that starts it and leaves it running: says a token with `ready`',
    },
    'secrets-key': {
      kind: 'text',
      value: 'FILE',
      summary: 'The key, 32 bytes or their hex or base64, that the cluster’s secrets are sealed with',
      env: 'SIMPLE_CI_SECRETS_KEY',
    },
    'log-level': {
      kind: 'choice',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
      value: 'LEVEL',
      summary: 'How much it writes about itself to standard error',
      default: 'info',
      env: 'SIMPLE_CI_LOG_LEVEL',
    },
    'log-flush': {
      kind: 'duration',
      value: 'TIME',
      summary:
        'How long what tasks print may wait to be stored: longer means fewer puts into S3, and as much more that is lost if the node is killed. Live logs are live all the same',
      default: '500ms',
      env: 'SIMPLE_CI_LOG_FLUSH',
    },
    otlp: {
      kind: 'text',
      value: 'URL',
      summary:
        'Where traces of finished tasks go, such as http://collector:4318; absent: to $OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere. Headers from $OTEL_EXPORTER_OTLP_HEADERS',
      env: 'SIMPLE_CI_OTLP',
    },
    ...outputOptions,
  },
  examples: [
    { what: 'A cluster on this machine', line: 'node --cluster local' },
    {
      what: 'One of many, anywhere',
      line: 'node --cluster acme/ci --etcd https://etcd:2379 --s3 s3://acme-ci --listen 0.0.0.0:7100 --labels linux,x64',
    },
  ],
  async run(context, { options }) {
    const { runNode } = await import('../run-node.ts');
    return runNode(context, options);
  },
});
