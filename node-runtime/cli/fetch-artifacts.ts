import { readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, matchesGlob, resolve, sep } from 'node:path';
import type { Client } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import { quote, type TaskId } from '../../shared/ids.ts';
import type { Artifact } from '../../shared/result.ts';
import { count, formatBytes } from '../../shared/amounts.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findTaskId } from './find-task-id.ts';
import { downloadChecked, pourArtifact, saveArtifact } from './save-artifact.ts';
import { formatTable } from './table.ts';
import { plainText } from './text-width.ts';

type Options = ConnectionOptions & { readonly json: boolean; readonly output?: string | undefined };

export async function listArtifacts(context: CliContext, word: string, options: Options): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { terminal, signal } = context;
  const id = await findTaskId(connection.client, word, signal);
  const { artifacts } = await connection.client.call('listArtifacts', { params: { id } }, signal);
  if (options.json) terminal.print(JSON.stringify({ artifacts }));
  else if (artifacts.length === 0) terminal.say('The task kept no artifacts.');
  else {
    const rows = artifacts.map(({ path, size }) => [formatBytes(size), plainText(path)]);
    const titles = [{ title: 'SIZE', align: 'right' }, { title: 'PATH' }] as const;
    for (const line of formatTable(titles, rows, undefined, terminal.style)) terminal.print(line);
  }
  return EXIT.passed;
}

export async function fetchArtifacts(
  context: CliContext,
  word: string,
  path: string | undefined,
  options: Options,
): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { client } = connection;
  const id = await findTaskId(client, word, context.signal);
  const { artifacts } = await client.call('listArtifacts', { params: { id } }, context.signal);
  const wanted = path === undefined ? undefined : cleanPath(path);
  const single = artifacts.find(artifact => artifact.path === path || artifact.path === wanted);
  const chosen = single ? [single] : choose(artifacts, wanted);
  if (options.output === '-') return await printArtifact(context, client, id, onlyOne(chosen));
  const folder = resolve(context.environment.folder, options.output ?? '.');
  const saved: string[] = [];
  for (const artifact of chosen) {
    const { file, isThere } = single
      ? await placeOfOne(folder, single, options.output)
      : { file: placeOf(folder, artifact), isThere: false };
    context.terminal.status(`Fetching ${plainText(artifact.path)} (${formatBytes(artifact.size)}) …`);
    await (isThere ? pourArtifact : saveArtifact)(client, id, artifact, file, context.signal);
    saved.push(file);
    if (!options.json) context.terminal.print(plainText(file));
  }
  context.terminal.status(undefined);
  if (options.json) context.terminal.print(JSON.stringify({ saved }));
  else context.terminal.say(`Fetched ${count(saved.length, 'artifact')}.`);
  return EXIT.passed;
}

/** The same forms that the patterns of a task may have: `./out` and `out/` are `out`. */
function cleanPath(path: string): string {
  return path.replace(/^(\.\/+)+/, '').replace(/\/+$/, '');
}

/** Those that a pattern matches, or that lie in the folder it names. */
function choose(artifacts: readonly Artifact[], wanted: string | undefined): readonly Artifact[] {
  if (wanted === undefined) return artifacts;
  const chosen = artifacts.filter(({ path }) => matchesGlob(path, wanted) || path.startsWith(`${wanted}/`));
  if (chosen.length > 0) return chosen;
  const known = artifacts.map(artifact => plainText(artifact.path)).slice(0, 5);
  const there = known.length > 0 ? `there is ${known.join(', ')}${artifacts.length > 5 ? ', …' : ''}` : 'there is none';
  throw new CiError('not-found', `Cannot find artifact ${quote(wanted)}: ${there}`);
}

/** Several on standard output could not be told apart. */
function onlyOne(chosen: readonly Artifact[]): Artifact {
  const [artifact] = chosen;
  if (artifact && chosen.length === 1) return artifact;
  throw new CiError(
    'invalid',
    `Cannot write to standard output as that takes one artifact: ${count(chosen.length, 'artifact')}`,
  );
}

/** As many as Linux follows. */
const MOST_LINKS = 40;

interface PlaceOfOne {
  readonly file: string;
  /** Whether it is there already and is no file that could be replaced: a device or a pipe. */
  readonly isThere: boolean;
}

/** One artifact goes to the file that was named, also through a link, or under its own name into the folder that was. */
async function placeOfOne(place: string, artifact: Artifact, output: string | undefined): Promise<PlaceOfOne> {
  const found = await stat(place).catch(() => undefined);
  if (output === undefined || output.endsWith('/') || found?.isDirectory())
    return { file: placeOf(place, { path: basename(artifact.path) }), isThere: false };
  if (!found) return { file: await endOfLinks(place), isThere: false };
  return found.isFile() ? { file: await realpath(place), isThere: false } : { file: place, isThere: true };
}

/** Where a link leads to that leads to nothing yet. */
async function endOfLinks(place: string): Promise<string> {
  let file = place;
  for (let links = 0; links < MOST_LINKS; links++) {
    const target = await readlink(file).catch(() => undefined);
    if (target === undefined) return file;
    file = resolve(await realpath(dirname(file)), target);
  }
  throw new CiError('invalid', `Cannot save artifact as its place is a link that leads nowhere: ${quote(place)}`);
}

/** Whoever made the artifact chose its path: nothing of it may lead out of the folder. */
function placeOf(folder: string, { path }: Pick<Artifact, 'path'>): string {
  const parts = path.split('/');
  const isForeign = sep === '\\' && path.includes(sep);
  if (isForeign || path.includes('\0') || parts.some(part => part === '' || part === '.' || part === '..'))
    throw new CiError('invalid', `Cannot fetch artifact as its path leads out of the folder: ${quote(path)}`);
  return join(folder, ...parts);
}

async function printArtifact(
  { terminal, signal }: CliContext,
  client: Client,
  id: TaskId,
  artifact: Artifact,
): Promise<ExitCode> {
  for await (const bytes of downloadChecked(client, id, artifact, signal)) await terminal.write(bytes);
  return EXIT.passed;
}
