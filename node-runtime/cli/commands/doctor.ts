import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { isolationOption, storeOptions } from '../store-options.ts';

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Look for what is wrong with this machine, a cluster, an etcd or an S3',
  description: `Looks at this machine and at the cluster that commands would go to; with --etcd and --s3 also at what a node would be told. Each line says what was measured; ! is a warning, ✗ a problem, and below it stands what to do. Ends with 1 if it found a problem.

It writes a few leases into the etcd and a few objects into the S3, and takes them back.`,
  options: {
    ...storeOptions,
    etcd: { ...storeOptions.etcd, summary: 'The etcd to look at, such as https://a:2379,b:2379; none if absent' },
    s3: { ...storeOptions.s3, summary: 'The S3 to look at: s3://bucket/prefix?endpoint=…&region=…; none if absent' },
    isolation: isolationOption,
    only: {
      kind: 'list',
      value: 'A,B',
      summary: 'Look at these only, of machine, isolation, settings, etcd, s3, cluster',
    },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'Why does it not work here?', line: 'doctor' },
    { what: 'Before a node is set up', line: 'doctor --etcd https://etcd:2379 --s3 s3://acme-ci' },
    { what: 'From inside a pod', line: 'doctor --only etcd,s3' },
  ],
  async run(context, { options }) {
    const { runDoctor } = await import('../run-doctor.ts');
    return runDoctor(context, options);
  },
});
