import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describeError } from '../../shared/errors.ts';
import type { Finding } from '../system/finding.ts';
import type { CliContext } from './context.ts';
import { isReadableOnTheWay } from './node-address.ts';
import { readS3Options, type StoreArguments } from './store-options.ts';

const SECRET_FILES = ['etcd-key', 'etcd-password-file'] as const;

/** Settings of a node that are known to end badly, whatever etcd and S3 are like. */
export async function settingFindings(context: CliContext, options: StoreArguments): Promise<Finding[]> {
  return [
    ...judgePair(options),
    ...judgeCommandLine(context, options),
    ...(await judgeFiles(context, options)),
    ...(await judgeEndpoint(options)),
  ];
}

/** Both, or neither. */
function judgePair({ etcd, s3 }: StoreArguments): Finding[] {
  if (etcd !== undefined && s3 !== undefined)
    return [{ level: 'ok', subject: 'stores', what: 'State in etcd, bytes in S3' }];
  if (etcd !== undefined)
    return [
      {
        level: 'problem',
        subject: 'stores',
        what: 'etcd without S3: each node would keep logs and workspaces where the others do not find them',
        advice: 'Give --s3 too.',
      },
    ];
  return [
    {
      level: 'warning',
      subject: 'stores',
      what: 'S3 without etcd: the cluster would be this machine alone',
      advice: 'Give --etcd too, or neither.',
    },
  ];
}

/** What is on a command line, every user of the machine can read, and with isolation "user" every task. */
function judgeCommandLine({ environment }: CliContext, { etcd }: StoreArguments): Finding[] {
  const isInVariable = environment.variables.SIMPLE_CI_ETCD === etcd;
  if (etcd === undefined || isInVariable || !/:[^/@,]*@/.test(etcd)) return [];
  const advice = 'Use --etcd-user with --etcd-password-file, or the variable SIMPLE_CI_ETCD_PASSWORD.';
  const what = 'The password for etcd is on the command line, for everybody on this machine to read';
  return [{ level: 'problem', subject: 'password', what, advice }];
}

async function judgeFiles({ environment }: CliContext, options: StoreArguments): Promise<Finding[]> {
  const findings = SECRET_FILES.map(async (name): Promise<Finding[]> => {
    const path = options[name];
    return path === undefined ? [] : [await judgeFile(`--${name}`, resolve(environment.folder, path))];
  });
  return (await Promise.all(findings)).flat();
}

async function judgeFile(option: string, path: string): Promise<Finding> {
  const subject = option.includes('key') ? 'key file' : 'password';
  try {
    const { mode } = await stat(path);
    if ((mode & 0o004) === 0) return { level: 'ok', subject, what: `${path} is not for everybody to read` };
    const what = `Everybody can read ${path}, and so can tasks`;
    return { level: 'problem', subject, what, advice: `chmod 600 ${path}` };
  } catch (error) {
    return { level: 'problem', subject, what: `${option} cannot be read: ${describeError(error)}` };
  }
}

async function judgeEndpoint(options: StoreArguments): Promise<Finding[]> {
  const address = await readS3Options(options);
  if (!address) return [];
  const { bucket, region, endpoint } = address;
  const seen = { subject: 'bucket', what: `${bucket} at ${endpoint ?? `AWS ${region}`}` };
  const advice = 'Use https: workspaces, logs and signed addresses go unencrypted.';
  const isOpen = endpoint !== undefined && isReadableOnTheWay(endpoint);
  return [isOpen ? { level: 'warning', ...seen, advice } : { level: 'ok', ...seen }];
}
