import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const secretSet = defineCommand({
  name: 'secret set',
  summary: 'Set a secret that tasks may ask for by name',
  description:
    'The value is asked for without showing it, or read from standard input: it is never an argument, as command lines can be seen by others. One line break at its end is left out.',
  arguments: [{ name: 'NAME', summary: 'Capitals, digits and _; a task gets it as the variable of that name' }],
  options: { ...connectionOptions, ...outputOptions },
  examples: [
    { what: 'Type it', line: 'secret set NPM_TOKEN' },
    { what: 'From a file', line: 'secret set DEPLOY_KEY < deploy.pem' },
  ],
  async run(context, { arguments: [name = ''], options }) {
    const { connect } = await import('../connect.ts');
    const { askSecret } = await import('../ask-secret.ts');
    const value = await askSecret(context, `Value of ${name}: `);
    await using connection = await connect(context, options);
    await connection.client.call('putSecret', { params: { name }, body: { value } }, context.signal);
    if (options.json) context.terminal.print(JSON.stringify({ set: name }));
    else context.terminal.say(`Secret ${name} is set.`);
    return EXIT.passed;
  },
});
