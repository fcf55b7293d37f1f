import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const secretDelete = defineCommand({
  name: 'secret delete',
  summary: 'Delete a secret; a task that asks for it will be invalid',
  arguments: [{ name: 'NAME', summary: 'Of the secret' }],
  options: { ...connectionOptions, ...outputOptions },
  examples: [{ what: 'No longer needed', line: 'secret delete NPM_TOKEN' }],
  async run(context, { arguments: [name = ''], options }) {
    const { connect } = await import('../connect.ts');
    await using connection = await connect(context, options);
    await connection.client.call('deleteSecret', { params: { name } }, context.signal);
    if (options.json) context.terminal.print(JSON.stringify({ deleted: name }));
    else context.terminal.say(`Secret ${name} is deleted.`);
    return EXIT.passed;
  },
});
