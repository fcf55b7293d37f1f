import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';
import { kubernetesOptions } from '../kubernetes-options.ts';
import { etcdOptions } from '../store-options.ts';

export const metricsAdapter = defineCommand({
  name: 'metrics-adapter',
  summary: 'Tell the demand to Kubernetes’ autoscaler',
  description: `Serves external.metrics.k8s.io/v1beta1 from inside a Kubernetes cluster, so that a plain HorizontalPodAutoscaler can follow the metric simple_ci_demand. It answers API servers only, and says nothing rather than something wrong: while the demand is not known, the number of pods stays as it is.`,
  options: {
    cluster: {
      kind: 'text',
      value: 'ID',
      summary: 'Which cluster, such as acme/ci',
      required: true,
      env: 'SIMPLE_CI_CLUSTER',
    },
    ...etcdOptions,
    listen: {
      kind: 'text',
      value: 'HOST:PORT',
      summary: 'Where API servers reach it',
      default: ':10250',
      env: 'SIMPLE_CI_LISTEN',
    },
    'tls-cert': {
      kind: 'text',
      value: 'FILE',
      summary: 'Its certificate, for SERVICE.NAMESPACE.svc; read again when it changes',
      required: true,
      env: 'SIMPLE_CI_TLS_CERT',
    },
    'tls-key': {
      kind: 'text',
      value: 'FILE',
      summary: 'Key of that certificate',
      required: true,
      env: 'SIMPLE_CI_TLS_KEY',
    },
    namespace: {
      kind: 'list',
      value: 'NAME',
      summary: 'Whose autoscalers may ask; its own if absent',
      env: 'SIMPLE_CI_NAMESPACE',
    },
    ...kubernetesOptions,
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
    {
      what: 'In a pod, with a certificate out of a Secret',
      line: 'metrics-adapter --cluster acme/ci --etcd https://etcd:2379 --tls-cert /tls/tls.crt --tls-key /tls/tls.key',
    },
  ],
  async run(context, { options }) {
    const { runMetricsAdapter } = await import('../run-metrics-adapter.ts');
    return runMetricsAdapter(context, options);
  },
});
