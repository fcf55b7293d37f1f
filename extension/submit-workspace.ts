import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import type { Program } from './program.ts';
import { runProgram } from './run-program.ts';
import { foldersOfLog, namedRoot } from './sent-folders.ts';

/** What to run: a task that some file of the workspace names, or a command as one would type it. */
export type WantedTask =
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'command'; readonly command: string };

export function nameOf(task: WantedTask): string {
  return task.kind === 'named' ? task.name : task.command;
}

export interface SecretFile {
  readonly path: string;
  readonly why: string;
}

/** What the user is asked before more is sent than he may have thought of. */
export type Question =
  | { readonly kind: 'secrets'; readonly files: readonly SecretFile[] }
  | { readonly kind: 'large'; readonly files: number; readonly bytes: number };

export type Progress =
  | { readonly kind: 'looking' }
  | { readonly kind: 'sending'; readonly files: number; readonly bytes: number }
  | { readonly kind: 'submitting' };

export interface Submission {
  readonly program: Program;
  readonly folder: string;
  readonly task: WantedTask;
  readonly urls: readonly string[];
  readonly token: string;
  /** On the user's own machine a command finds the programs that the user finds. */
  readonly isLocal: boolean;
  readonly onProgress: (progress: Progress) => void;
  /** Whether to go on; asked at most once for each kind. */
  readonly ask: (question: Question) => Promise<boolean>;
  /** Ends a task that was submitted at the very moment at which the user did not want it any more. */
  readonly withdraw: (id: string) => Promise<void>;
}

export interface Submitted {
  readonly id: string;
  readonly name: string;
  /** The workspace's root: the folder, or one above it with a task file or a repository. */
  readonly root: string;
  /** Where the paths in its log may be counted from, the likeliest first. */
  readonly folders: readonly string[];
  readonly files: number;
  readonly bytes: number;
  readonly sentBytes: number;
}

interface Sent {
  root: string;
  files: number;
  bytes: number;
  sentBytes: number;
  secrets: readonly SecretFile[];
  packBytes: number;
  isLarge: boolean;
  id: string | undefined;
  name: string;
}

/** The exit code of a refusal: asking again the same way will not help. */
const REFUSED = 2;

/**
 * Sends the workspace as it is on disk and submits the task, by the program `simple-ci run`. Undefined if the user did not want
 * what he was asked. A question ends the program and, if answered with yes, starts it anew: the second snapshot costs no more
 * than a look at what has changed since.
 */
export async function submitWorkspace(submission: Submission, signal: AbortSignal): Promise<Submitted | undefined> {
  const allowed: string[] = [];
  for (;;) {
    const { sent, code, said } = await runOnce(submission, allowed, signal);
    if (sent.id !== undefined) return await submittedOf(submission, sent, sent.id);
    const [flag, question] = questionOf(sent, code, allowed) ?? [];
    if (flag === undefined || question === undefined)
      throw new CiError('invalid', said || l10n.t('simple-ci ended with {0}', String(code)));
    if (!(await submission.ask(question))) return undefined;
    allowed.push(flag);
  }
}

async function submittedOf({ folder, task }: Submission, sent: Sent, id: string): Promise<Submitted> {
  const { name, files, bytes, sentBytes } = sent;
  const root = await namedRoot({ folder, root: sent.root });
  return { id, name, root, folders: foldersOfLog({ folder, root, task }), files, bytes, sentBytes };
}

async function runOnce(submission: Submission, allowed: readonly string[], signal: AbortSignal) {
  const { program, folder, task, urls, token, isLocal, onProgress, withdraw } = submission;
  const sent: Sent = {
    root: folder,
    files: 0,
    bytes: 0,
    sentBytes: 0,
    secrets: [],
    packBytes: 0,
    isLarge: false,
    id: undefined,
    name: '',
  };
  onProgress({ kind: 'looking' });
  const where = urls.flatMap(url => ['--url', url]);
  const options = [...where, ...(isLocal ? ['--env', 'PATH'] : []), ...allowed];
  const args = ['run', '--detach', '--json', ...options, ...wordsOf(task)];
  const call = { args, cwd: folder, env: { SIMPLE_CI_TOKEN: token } };
  const onLine = (line: Record<string, unknown>) => {
    const progress = take(sent, line);
    if (progress) onProgress(progress);
  };
  try {
    const end = await runProgram(program, call, onLine, signal);
    return { sent, ...end };
  } catch (error) {
    if (sent.id !== undefined) await withdraw(sent.id);
    throw error;
  }
}

/** Of a command that means the same without a shell, so that its name in lists is what was typed. */
const PLAIN_WORDS = /^[\w@%+=:,./ -]+$/;

function wordsOf(task: WantedTask): string[] {
  if (task.kind === 'named') return [task.name];
  const command = task.command.trim();
  return ['--', ...(PLAIN_WORDS.test(command) ? command.split(/ +/) : ['sh', '-c', command])];
}

function take(sent: Sent, line: Record<string, unknown>): Progress | undefined {
  switch (line.event) {
    case 'workspace': {
      const { root, files, bytes, secrets } = line as unknown as Pick<Sent, 'root' | 'files' | 'bytes' | 'secrets'>;
      Object.assign(sent, { root, files, bytes, secrets });
      return undefined;
    }
    case 'sending':
      Object.assign(sent, { packBytes: line.bytes, isLarge: line.isLarge });
      return { kind: 'sending', files: sent.files, bytes: sent.packBytes };
    case 'sent':
      sent.sentBytes = Number(line.bytes);
      return { kind: 'submitting' };
    case 'submitted':
      Object.assign(sent, { id: line.id, name: line.name });
      return undefined;
    default:
      return undefined;
  }
}

function questionOf(
  { secrets, isLarge, files, packBytes }: Sent,
  code: number | null,
  allowed: readonly string[],
): [string, Question] | undefined {
  if (code !== REFUSED) return undefined;
  if (secrets.length > 0 && !allowed.includes('--allow-secrets'))
    return ['--allow-secrets', { kind: 'secrets', files: secrets }];
  if (isLarge && !allowed.includes('--yes')) return ['--yes', { kind: 'large', files, bytes: packBytes }];
  return undefined;
}
