import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { GitSource } from '../../shared/task.ts';
import type { RunInWorkspace } from './check-out-snapshot.ts';
import { type GitCheckoutOptions, type GitCommand, planGitCheckout } from './plan-git-checkout.ts';
import { SourceUnavailable } from './source-unavailable.ts';

/**
 * Puts a commit of a git server into the empty workspace, without its history where the server lets us, and tells which it was.
 * Rejects with `invalid` for a hostile address or ref, `not-found`, `forbidden`, or `unavailable` for all that may pass: as
 * SourceUnavailable, but for what fails before the source has had any part in it.
 */
export async function checkOutGit(
  source: GitSource,
  run: RunInWorkspace,
  options: GitCheckoutOptions,
): Promise<string> {
  const plan = planGitCheckout(source, options);
  const must = async (command: GitCommand) => {
    const { code, output } = await run(command, plan.env);
    if (code !== 0) throw failureOf(source, output);
    return output.trim();
  };
  const begun = await run(plan.init, plan.env);
  if (begun.code !== 0)
    throw new CiError('unavailable', `Cannot prepare the workspace as git says: ${begun.output.trim().slice(-1000)}`);
  await fetchAny(source, plan.fetches, command => run(command, plan.env));
  await must(plan.checkOut);
  return must(plan.tellCommit);
}

async function fetchAny(
  source: GitSource,
  fetches: readonly GitCommand[],
  run: (command: GitCommand) => ReturnType<RunInWorkspace>,
): Promise<void> {
  let output = '';
  for (const command of fetches) {
    const result = await run(command);
    if (result.code === 0) return;
    output = result.output;
    if (!MISSING.test(output)) break;
  }
  throw failureOf(source, output);
}

const MISSING =
  /not our ref|unadvertised object|couldn't find remote ref|reference is not a tree|repository .* not found|does not appear to be a git repository|does not exist|unable to read tree|bad object|pathspec .* did not match|non-commit|cannot update paths/i;
const REFUSED =
  /authentication failed|could not read (username|password)|permission denied|terminal prompts disabled|host key verification failed|error: 40[13]/i;
const NOT_ALLOWED = /transport '.*' not allowed|strange (hostname|pathname)/i;

/**
 * git's words are all there is to tell a wrong name from a server that is away. Some of them are the server's: what they say of
 * this node is not believed, or a server could make nodes pause.
 */
function failureOf({ url, ref }: GitSource, output: string): CiError {
  const reason = output.trim().slice(-1000) || 'git failed without a word';
  const message = `Cannot check out ${quote(ref)} of ${quote(withoutPassword(url))} as git says: ${reason}`;
  const failure = (code: 'invalid' | 'not-found' | 'forbidden' | 'unavailable') => new CiError(code, message);
  if (NOT_ALLOWED.test(output)) return failure('invalid');
  if (REFUSED.test(output)) return failure('forbidden');
  if (MISSING.test(output)) return failure('not-found');
  return new SourceUnavailable(message);
}

function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^/@]*@/, '$1');
}
