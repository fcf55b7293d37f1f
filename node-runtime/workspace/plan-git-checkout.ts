import { devNull } from 'node:os';
import type { z } from 'zod';
import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import { GitSource } from '../../shared/task.ts';

const TASK_PROTOCOLS: readonly string[] = ['https', 'ssh'];

export type GitCommand = readonly [string, ...string[]];

/** The git commands that put a commit of a git server into an empty folder, in order. */
export interface GitCheckoutPlan {
  readonly init: GitCommand;
  /** Tried in turn until one works; the first is the cheapest. */
  readonly fetches: readonly GitCommand[];
  readonly checkOut: GitCommand;
  /** Prints the commit. */
  readonly tellCommit: GitCommand;
  readonly env: Readonly<Record<string, string>>;
}

export interface GitCheckoutOptions {
  /** Where programs are found, and a folder for ssh to find its keys in, as commands see them. */
  readonly path: string;
  readonly home: string;
  /** For tests: other protocols than https and ssh. No task can set it. */
  readonly allowProtocols?: readonly string[];
}

/**
 * Plans it without running anything. Refuses, with `invalid`, addresses and refs that git could take for something else than
 * an address or a ref; what is left cannot be mistaken for an option, a path or a command.
 */
export function planGitCheckout(
  { url, ref }: Pick<GitSource, 'url' | 'ref'>,
  options: GitCheckoutOptions,
): GitCheckoutPlan {
  const { path, home, allowProtocols = TASK_PROTOCOLS } = options;
  refuseUrl(url, allowProtocols);
  refuseUnless(GitSource.shape.ref, 'ref as it', ref);
  const isCommit = /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(ref);
  const fetch = (depth: readonly string[], ...refs: string[]): GitCommand =>
    [
      ...['git', '-c', 'advice.detachedHead=false', '-c', 'gc.auto=0', 'fetch', '--quiet', '--no-tags', ...depth],
      ...['--no-recurse-submodules', '--end-of-options', url, ...refs],
    ] as unknown as GitCommand;
  const everything = fetch([], '+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*');
  const format = ref.length === 64 && isCommit ? ['--object-format=sha256'] : [];
  return {
    init: ['git', 'init', '--quiet', '--template=', ...format, '.'],
    // Not every server gives a commit by its id: then it has to be among all that there is.
    fetches: isCommit ? [fetch(['--depth=1'], ref), everything] : [fetch(['--depth=1'], ref)],
    checkOut: ['git', 'checkout', '--quiet', '--detach', '--force', isCommit ? ref : 'FETCH_HEAD'],
    tellCommit: ['git', 'rev-parse', '--verify', 'HEAD^{commit}'],
    env: {
      PATH: path,
      HOME: home,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: devNull,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.hooksPath',
      GIT_CONFIG_VALUE_0: devNull,
      GIT_ALLOW_PROTOCOL: allowProtocols.join(':'),
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: '',
      SSH_ASKPASS: '',
      GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new',
    },
  };
}

/** Tests name protocols that no task can have; of all else the schema of the task decides. */
function refuseUrl(url: string, protocols: readonly string[]): void {
  if (protocols.some(name => !TASK_PROTOCOLS.includes(name) && url.startsWith(`${name}://`))) return;
  refuseUnless(GitSource.shape.url, 'repository as its address', url);
}

function refuseUnless(schema: z.ZodType, attempt: string, value: string): void {
  const issue = schema.safeParse(value).error?.issues[0];
  if (issue) throw new CiError('invalid', `Cannot check out ${attempt} ${describeIssue(issue, value)}`);
}
