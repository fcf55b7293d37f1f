import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';

export const login = defineCommand({
  name: 'login',
  summary: 'Remember a cluster and its token, and use it from now on',
  description:
    'Asks for the token without showing it, tries it, and keeps it in a file that only you can read. Without a URL it lists the clusters you are logged in to.',
  arguments: [{ name: 'URL', summary: 'Address of any node', optional: true }],
  options: {
    token: { kind: 'text', summary: 'The token, where others cannot see your command line', env: 'SIMPLE_CI_TOKEN' },
    'token-stdin': { kind: 'flag', summary: 'Read the token from standard input' },
    url: { kind: 'list', value: 'URL', summary: 'More nodes of the same cluster, for failover' },
    'insecure-http': {
      kind: 'flag',
      summary: 'Send the token over plain http to another machine',
      env: 'SIMPLE_CI_INSECURE_HTTP',
    },
    use: { kind: 'text', value: 'CLUSTER', summary: 'Use this one of those you are logged in to' },
    forget: { kind: 'text', value: 'CLUSTER', summary: 'Log out of this one' },
    ...outputOptions,
  },
  examples: [
    { what: 'Once for each cluster', line: 'login https://ci.example.com' },
    { what: 'In a script', line: 'login https://ci.example.com --token-stdin < token.txt' },
    { what: 'Another of your clusters', line: 'login --use acme/ci' },
  ],
  async run(context, { arguments: [url], options }) {
    const { forgetLogin, listLogins, logIn, useLogin } = await import('../log-in.ts');
    if (options.forget !== undefined) return forgetLogin(context, options.forget, options.json);
    if (options.use !== undefined) return useLogin(context, options.use, options.json);
    return url === undefined ? listLogins(context, options.json) : logIn(context, [url, ...options.url], options);
  },
});
