import { createClient } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import { askSecret } from './ask-secret.ts';
import { checkAddress } from './node-address.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findLogin, type Logins, readLogins, withLogin, withoutLogin, writeLogins } from './logins.ts';
import { formatTable } from './table.ts';

interface LoginOptions {
  readonly token: string | undefined;
  readonly 'token-stdin': boolean;
  readonly 'insecure-http': boolean;
  readonly json: boolean;
}

/** Tries the token before it is kept. */
export async function logIn(context: CliContext, urls: readonly string[], options: LoginOptions): Promise<ExitCode> {
  const { terminal, environment, clock, signal } = context;
  for (const url of urls) checkAddress(url, options['insecure-http']);
  const logins = await readLogins(environment.configFolder);
  const token = (await findToken(context, urls[0]!, options)).trim();
  await using client = createClient({ urls, token });
  const { cluster, principal, role } = await client.call('cluster', {}, signal);
  const insecure = options['insecure-http'] ? { insecureHttp: true } : {};
  const login = { cluster, urls: urls.map(url => url.replace(/\/+$/, '')), token, added: clock.now(), ...insecure };
  await writeLogins(environment.configFolder, withLogin(logins, login));
  if (options.json) terminal.print(JSON.stringify({ cluster, principal, role, urls: login.urls }));
  else terminal.say(`Logged in to ${terminal.sayStyle.bold(cluster)} as ${principal} (${role}).`);
  return EXIT.passed;
}

async function findToken(context: CliContext, url: string, options: LoginOptions): Promise<string> {
  const token = options['token-stdin'] ? await context.terminal.readInput(context.signal) : options.token;
  if (token === undefined) return askSecret(context, `Token for ${url}: `);
  if (token.trim() !== '') return token;
  throw new CiError('invalid', `Cannot log in to ${url} as the token that was given is empty`);
}

export async function listLogins({ terminal, environment }: CliContext, json: boolean): Promise<ExitCode> {
  const { active, clusters } = await readLogins(environment.configFolder);
  const list = clusters.map(({ cluster, urls }) => ({ cluster, urls, active: cluster === active }));
  if (json) terminal.print(JSON.stringify({ logins: list }));
  else if (list.length === 0) terminal.say(`You are logged in nowhere. Try: ${environment.program} login URL`);
  else {
    const rows = list.map(one => [one.active ? '*' : '', one.cluster, one.urls.join(' ')]);
    const titles = [{ title: '' }, { title: 'CLUSTER' }, { title: 'ADDRESS', flexible: true }] as const;
    for (const line of formatTable(titles, rows, terminal.columns, terminal.style)) terminal.print(line);
  }
  return EXIT.passed;
}

export async function useLogin(context: CliContext, cluster: string, json: boolean): Promise<ExitCode> {
  await changeLogins(context, logins => ({ ...logins, active: findLogin(logins, cluster).cluster }));
  if (json) context.terminal.print(JSON.stringify({ active: cluster }));
  else context.terminal.say(`Commands go to ${cluster} from now on.`);
  return EXIT.passed;
}

export async function forgetLogin(context: CliContext, cluster: string, json: boolean): Promise<ExitCode> {
  const logins = await changeLogins(context, before => withoutLogin(before, findLogin(before, cluster).cluster));
  if (json) context.terminal.print(JSON.stringify({ forgotten: cluster, active: logins.active ?? null }));
  else context.terminal.say(`Logged out of ${cluster}. Commands go to ${logins.active ?? 'an embedded node'} now.`);
  return EXIT.passed;
}

async function changeLogins({ environment }: CliContext, change: (logins: Logins) => Logins): Promise<Logins> {
  const logins = change(await readLogins(environment.configFolder));
  await writeLogins(environment.configFolder, logins);
  return logins;
}
