import { resolve } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import type { NodeOptions } from '../options.ts';
import type { OptionTable } from './command.ts';
import type { CliContext } from './context.ts';

export const etcdOptions = {
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
    summary: 'Where that user’s password is; or the password itself in $SIMPLE_CI_ETCD_PASSWORD',
    env: 'SIMPLE_CI_ETCD_PASSWORD_FILE',
  },
} as const satisfies OptionTable;

/** Where a cluster keeps its state and its bytes: what nodes are told, and what the doctor looks at. */
export const storeOptions = {
  ...etcdOptions,
  s3: {
    kind: 'text',
    value: 'URL',
    summary: 'Where bytes go: s3://bucket/prefix?endpoint=…&region=…; absent: a folder on this machine',
    env: 'SIMPLE_CI_S3',
  },
} as const satisfies OptionTable;

export type EtcdArguments = { readonly [Name in keyof typeof etcdOptions]: string | undefined };
export type StoreArguments = { readonly [Name in keyof typeof storeOptions]: string | undefined };

export const isolationOption = {
  kind: 'choice',
  choices: ['auto', 'bubblewrap', 'user', 'none'],
  value: 'HOW',
  summary: 'What keeps tasks away from the node',
  default: 'auto',
  env: 'SIMPLE_CI_ISOLATION',
} as const;

export async function readEtcdOptions(
  { environment }: CliContext,
  options: EtcdArguments,
): Promise<NodeOptions['etcd'] | undefined> {
  if (options.etcd === undefined) return undefined;
  const { parseEtcdOptions } = await import('../store/etcd-options.ts');
  const pathOf = (name: 'etcd-ca' | 'etcd-cert' | 'etcd-key' | 'etcd-password-file') => {
    const path = options[name];
    return path === undefined ? undefined : resolve(environment.folder, path);
  };
  const passwordFile = pathOf('etcd-password-file');
  const credentials = {
    ca: pathOf('etcd-ca'),
    cert: pathOf('etcd-cert'),
    key: pathOf('etcd-key'),
    user: options['etcd-user'],
    password: passwordFile ? await readPassword(passwordFile) : environment.variables.SIMPLE_CI_ETCD_PASSWORD,
  };
  const given = Object.entries(credentials).filter(([, value]) => value !== undefined);
  return parseEtcdOptions(options.etcd, Object.fromEntries(given));
}

export async function readS3Options({ s3 }: StoreArguments): Promise<NodeOptions['s3'] | undefined> {
  if (s3 === undefined) return undefined;
  const { parseS3Address } = await import('../objects/s3-address.ts');
  return parseS3Address(s3);
}

async function readPassword(file: string): Promise<string> {
  try {
    // Imported late, as every command reads these options, and most no file.
    const { readFile } = await import('node:fs/promises');
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new CiError('invalid', `Cannot read the password of etcd as its file cannot be opened: ${file}`, {
      cause: error,
    });
  }
}
