import type { OptionTable } from './command.ts';

/** Every command knows these. */
export const outputOptions = {
  json: { kind: 'flag', summary: 'Print JSON, and nothing else, on standard output', group: 'output' },
} as const satisfies OptionTable;

/** Where to find the cluster: what is not given is taken from `simple-ci login`, and without one there is an embedded node. */
export const connectionOptions = {
  url: {
    kind: 'list',
    value: 'URL',
    summary: 'Address of a node; several for failover',
    env: 'SIMPLE_CI_URL',
    group: 'connection',
  },
  token: { kind: 'text', summary: 'Token to show it', env: 'SIMPLE_CI_TOKEN', group: 'connection' },
  'insecure-http': {
    kind: 'flag',
    summary: 'Send the token over plain http to another machine',
    env: 'SIMPLE_CI_INSECURE_HTTP',
    group: 'connection',
  },
  data: {
    kind: 'text',
    value: 'DIR',
    summary: 'Where the embedded node keeps its data, when no cluster is named and there is no login',
    env: 'SIMPLE_CI_DATA',
    group: 'connection',
  },
} as const satisfies OptionTable;

export type ConnectionOptions = {
  readonly url: readonly string[];
  readonly token: string | undefined;
  readonly 'insecure-http': boolean;
  readonly data: string | undefined;
};
