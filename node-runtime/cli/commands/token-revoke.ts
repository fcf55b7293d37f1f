import { CiError } from '../../../shared/errors.ts';
import { quote } from '../../../shared/ids.ts';
import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const tokenRevoke = defineCommand({
  name: 'token revoke',
  summary: 'End a token; nodes notice within 10 s',
  arguments: [{ name: 'ID', summary: 'The eight characters that `token list` shows' }],
  options: { ...connectionOptions, ...outputOptions },
  examples: [{ what: 'It was seen in a log', line: 'token revoke 3k9d0q2m' }],
  async run(context, { arguments: [id = ''], options }) {
    if (!/^[0-9a-z]{8}$/.test(id))
      throw new CiError(
        'invalid',
        `Cannot revoke token as that is not one of the ids that \`token list\` shows, of 8 characters: ${quote(id)}`,
      );
    const { connect } = await import('../connect.ts');
    await using connection = await connect(context, options);
    await connection.client.call('revokeToken', { params: { id } }, context.signal);
    if (options.json) context.terminal.print(JSON.stringify({ revoked: id }));
    else context.terminal.say(`Token ${id} is revoked.`);
    return EXIT.passed;
  },
});
