import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';

export const node = defineCommand({
  name: 'node',
  summary: 'Run a node: form a cluster, or join it',
  description: `The first node with a cluster id forms the cluster, every further one joins it. Without --etcd the cluster is this machine alone.

SIGTERM or Ctrl-C drains it: it claims nothing more, lets running tasks finish and hands back what is left. A second one hands everything back at once.`,
  options: {
    cluster: {
      kind: 'text',
      value: 'ID',
      summary: 'Which cluster, such as acme/ci',
      required: true,
      env: 'SIMPLE_CI_CLUSTER',
    },
    etcd: {
      kind: 'text',
      value: 'URLS',
      summary: 'Where etcd is, such as https://a:2379,b:2379; absent: a store on this machine',
      env: 'SIMPLE_CI_ETCD',
    },
    'etcd-ca': { kind: 'text', value: 'FILE', summary: 'Who signed etcd’s certificate', env: 'SIMPLE_CI_ETCD_CA' },
    'etcd-cert': { kind: 'text', value: 'FILE', summary: 'Client certificate for etcd', env: 'SIMPLE_CI_ETCD_CERT' },
    'etcd-key': { kind: 'text', value: 'FILE', summary: 'Key of that certificate', env: 'SIMPLE_CI_ETCD_KEY' },
    'etcd-user': { kind: 'text', value: 'NAME', summary: 'User of etcd', env: 'SIMPLE_CI_ETCD_USER' },
    'etcd-password-file': {
      kind: 'text',
      value: 'FILE',
      summary: 'Where that user’s password is; or the password itself in SIMPLE_CI_ETCD_PASSWORD',
      env: 'SIMPLE_CI_ETCD_PASSWORD_FILE',
    },
    s3: {
      kind: 'text',
      value: 'URL',
      summary: 'Where bytes go: s3://bucket/prefix?endpoint=…&region=…; absent: a folder on this machine',
      env: 'SIMPLE_CI_S3',
    },
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
      summary: 'How many tasks it runs at once; the number of cores if absent',
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
    isolation: {
      kind: 'choice',
      choices: ['auto', 'bubblewrap', 'user', 'none'],
      value: 'HOW',
      summary: 'What keeps tasks away from the node',
      default: 'auto',
      env: 'SIMPLE_CI_ISOLATION',
    },
    'drain-timeout': {
      kind: 'duration',
      value: 'TIME',
      summary: 'How long running tasks may take to finish when it is told to stop',
      default: '10m',
      env: 'SIMPLE_CI_DRAIN_TIMEOUT',
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
