import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const tokenCreate = defineCommand({
  name: 'token create',
  summary: 'Make a token for a person or a program',
  description: 'The token is printed once, alone on standard output; the cluster keeps only a hash of it.',
  arguments: [{ name: 'NAME', summary: 'Whose it is: tasks are submitted in this name' }],
  options: {
    role: {
      kind: 'choice',
      choices: ['viewer', 'runner', 'admin'],
      value: 'ROLE',
      default: 'runner',
      summary: 'viewer looks, runner also submits and cancels, admin also manages tokens and secrets',
    },
    expires: { kind: 'duration', value: 'TIME', summary: 'When it ends, such as 90d; never if absent' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'For a colleague', line: 'token create erika' },
    { what: 'For a dashboard, for 90 days', line: 'token create dashboard --role viewer --expires 90d' },
  ],
  async run(context, { arguments: [name = ''], options }) {
    const { connect } = await import('../connect.ts');
    await using connection = await connect(context, options);
    const expiresSeconds = options.expires === undefined ? undefined : Math.max(1, Math.round(options.expires / 1000));
    const body = { name, role: options.role, ...(expiresSeconds !== undefined && { expiresSeconds }) };
    const made = await connection.client.call('createToken', { body }, context.signal);
    context.terminal.print(options.json ? JSON.stringify(made) : made.token);
    if (!options.json)
      context.terminal.say(`Token ${made.view.id} of ${name}, ${options.role}: it will not be shown again.`);
    return EXIT.passed;
  },
});
