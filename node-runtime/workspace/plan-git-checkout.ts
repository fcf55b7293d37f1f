import { devNull } from 'node:os';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { GitSource } from '../../shared/task.ts';

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
  const { path, home, allowProtocols = ['https', 'ssh'] } = options;
  refuseUrl(url, allowProtocols);
  refuseRef(ref);
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

const SCP_LIKE = /^[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?![-/]?\/)(?!-)[^\u0000-\u0020\u007f]+$/;

function refuseUrl(url: string, protocols: readonly string[]): void {
  const refuse = (why: string) =>
    new CiError('invalid', `Cannot check out repository as its address ${why}: ${quote(url)}`);
  if (/[\u0000-\u0020\u007f]/.test(url)) throw refuse('has spaces or control characters');
  if (SCP_LIKE.test(url) && protocols.includes('ssh')) return;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const protocol = parsed?.protocol.slice(0, -1) ?? '';
  if (!parsed || !protocols.includes(protocol))
    throw refuse(`is not like ${protocols.map(name => `${name}://`).join(' or ')}`);
  if (protocol === 'file') return;
  if (!/^[a-z]+:\/\/[^/]/.test(url)) throw refuse('has no host');
  const { host, username } = parsed;
  if (!/^[A-Za-z0-9[]/.test(host)) throw refuse('has no host');
  if (/^(-|%2d)/i.test(username) || /^(-|%2d)/i.test(parsed.password))
    throw refuse('has a user that looks like an option');
}

/** The rules of git check-ref-format, and no leading - or +. */
function refuseRef(ref: string): void {
  const refuse = (why: string) => new CiError('invalid', `Cannot check out ref as it ${why}: ${quote(ref)}`);
  if (ref === '' || ref.length > 500) throw refuse('is empty or longer than 500 characters');
  if (/^[-+]/.test(ref)) throw refuse('starts with - or +');
  if (/[\u0000-\u0020\u007f~^:?*[\\]/.test(ref)) throw refuse('has a character that no ref has');
  if (/\.\.|@\{|\/\/|^\/|\/$|\.$|^@$/.test(ref)) throw refuse('is no name of a ref');
  if (ref.split('/').some(part => part.startsWith('.') || part.endsWith('.lock'))) throw refuse('is no name of a ref');
}
