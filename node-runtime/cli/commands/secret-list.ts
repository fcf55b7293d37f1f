import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const secretList = defineCommand({
  name: 'secret list',
  summary: 'List the names of the secrets',
  options: { ...connectionOptions, ...outputOptions },
  examples: [{ what: 'What tasks may ask for', line: 'secret list' }],
  async run(context, { options }) {
    const { connect } = await import('../connect.ts');
    const { formatTable } = await import('../table.ts');
    const { formatAge } = await import('../../../shared/amounts.ts');
    await using connection = await connect(context, options);
    const { terminal, clock } = context;
    const { secrets } = await connection.client.call('listSecrets', {}, context.signal);
    if (options.json) {
      terminal.print(JSON.stringify({ secrets }));
      return EXIT.passed;
    }
    const rows = secrets.map(({ name, updated }) => [name, formatAge(updated, clock.now())]);
    const titles = [{ title: 'NAME' }, { title: 'UPDATED' }];
    for (const line of formatTable(titles, rows, terminal.columns, terminal.style)) terminal.print(line);
    return EXIT.passed;
  },
});
