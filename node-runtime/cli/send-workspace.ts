import { join } from 'node:path';
import type { Client } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import type { SnapshotSource } from '../../shared/task.ts';
import type { Workspace } from '../workspace/find-workspace.ts';
import { refuseSecrets } from '../workspace/secret-scan.ts';
import { Scratch } from '../workspace/scratch.ts';
import { type Snapshot, takeSnapshot } from '../workspace/take-snapshot.ts';
import { findEarlier, type SnapshotTransport, uploadSnapshot } from '../workspace/upload-snapshot.ts';
import { readBranch } from '../workspace/user-repository.ts';
import { count, formatBytes } from '../../shared/amounts.ts';
import type { CliContext } from './context.ts';

export interface SendOptions {
  readonly 'allow-secrets': boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

/** What goes beyond this is asked about, in bytes. */
const ASK_ABOVE_BYTES = 50_000_000;

/** A snapshot that is being taken. Disposing of it ends that. */
export interface PendingSnapshot extends AsyncDisposable {
  readonly scratch: Scratch;
  readonly taken: Promise<Snapshot>;
}

/** Begins to take a snapshot of a workspace: that takes its time, and needs no cluster. */
export function beginSnapshot(context: CliContext, workspace: Workspace): PendingSnapshot {
  const { terminal, environment, signal, clock } = context;
  const stop = new AbortController();
  terminal.status(`Looking at ${workspace.root} …`);
  const cacheDir = join(environment.cacheFolder, 'workspaces');
  const taken = takeSnapshot(workspace, {
    cacheDir,
    env: environment.variables,
    signal: AbortSignal.any([signal, stop.signal]),
    clock,
  });
  const ended = taken.then(
    () => undefined,
    () => undefined,
  );
  return {
    scratch: Scratch.of(cacheDir, workspace),
    taken,
    [Symbol.asyncDispose]: () => {
      stop.abort(new Error('The snapshot is not wanted any more'));
      return ended;
    },
  };
}

/** Makes the cluster have a snapshot, and asks while it is taken what it has already. Says what travels; asks when that is much. */
export async function sendWorkspace(
  context: CliContext,
  client: Client,
  workspace: Workspace,
  pending: PendingSnapshot,
  options: SendOptions,
): Promise<SnapshotSource> {
  const { terminal, environment, signal, clock, chance } = context;
  const report = (event: string, fields: object) => {
    if (options.json) terminal.print(JSON.stringify({ event, ...fields }));
  };
  const call = { env: environment.variables, signal, clock, chance };
  const ways = transport(client);
  const [snapshot, earlier] = await Promise.all([pending.taken, findEarlier(pending.scratch, ways, signal)]);
  const { files, bytes, secrets } = snapshot;
  report('workspace', { root: workspace.root, files, bytes, secrets });
  if (!options['allow-secrets']) refuseSecrets(secrets);
  let isFirst = false;
  const { sentBytes } = await uploadSnapshot(snapshot, ways, {
    ...call,
    earlier,
    beforeSending: async pack => {
      const isLarge = pack.bytes > ASK_ABOVE_BYTES;
      report('sending', { bytes: pack.bytes, isLarge });
      if (isLarge && !options.yes) await confirm(context, snapshot, pack.bytes);
      isFirst = pack.isFull;
      terminal.status(`Sending ${describe(snapshot)}, packed as ${formatBytes(pack.bytes)} …`);
    },
  });
  terminal.status(undefined);
  report('sent', { bytes: sentBytes });
  const sent = isFirst ? `all sent, as ${formatBytes(sentBytes)}` : `${formatBytes(sentBytes)} sent of what is new`;
  terminal.say(`Workspace: ${describe(snapshot)}; ${sentBytes === 0 ? 'nothing is new' : sent}`);
  const branch = workspace.git && (await readBranch(workspace.git));
  return { type: 'snapshot', commit: snapshot.commit, tree: snapshot.tree, ...(branch !== undefined && { branch }) };
}

function describe({ files, bytes }: Snapshot): string {
  return `${count(files, 'file')}, ${formatBytes(bytes)}`;
}

/** Nobody to ask is a no: a script must not send more than its author thought of. */
async function confirm({ terminal, signal }: CliContext, snapshot: Snapshot, bytes: number): Promise<void> {
  const what = `${describe(snapshot)}: ${formatBytes(bytes)} to send`;
  const refusal = new CiError('invalid', `Cannot send workspace without --yes as it is large: ${what}`);
  if (!terminal.canAsk) throw refusal;
  terminal.status(undefined);
  const answer = await terminal.ask(`The workspace has ${what}. Go on? [y/N] `, { signal });
  if (!/^y(es)?$/i.test(answer.trim())) throw refusal;
}

function transport(client: Client): SnapshotTransport {
  return {
    check: async (commits, signal) =>
      (await client.call('checkSnapshots', { body: { commits: [...commits] } }, signal)).present,
    get: (commit, signal) => client.call('getSnapshot', { params: { commit } }, signal),
    uploadPack: (id, signal) => client.call('uploadPack', { params: { id } }, signal),
    put: (manifest, signal) =>
      client.call('putSnapshot', { params: { commit: manifest.commit }, body: manifest }, signal),
  };
}
