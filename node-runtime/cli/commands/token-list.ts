import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const tokenList = defineCommand({
  name: 'token list',
  summary: 'List tokens, without their secrets',
  options: { ...connectionOptions, ...outputOptions },
  examples: [{ what: 'Who may do what', line: 'token list' }],
  async run(context, { options }) {
    const { connect } = await import('../connect.ts');
    const { formatTable } = await import('../table.ts');
    const { formatAge } = await import('../../../shared/amounts.ts');
    const { plainText } = await import('../text-width.ts');
    await using connection = await connect(context, options);
    const { terminal, clock } = context;
    const { tokens } = await connection.client.call('listTokens', {}, context.signal);
    if (options.json) {
      terminal.print(JSON.stringify({ tokens }));
      return EXIT.passed;
    }
    const rows = tokens.map(token => [
      token.id,
      plainText(token.name),
      token.role,
      `${formatAge(token.created, clock.now())} by ${plainText(token.createdBy)}`,
      token.expires === undefined ? 'never' : new Date(token.expires).toISOString().slice(0, 16).replace('T', ' '),
    ]);
    const titles = [
      { title: 'ID' },
      { title: 'NAME', flexible: true },
      { title: 'ROLE' },
      { title: 'CREATED', flexible: true },
      { title: 'EXPIRES' },
    ] as const;
    for (const line of formatTable(titles, rows, terminal.columns, terminal.style)) terminal.print(line);
    return EXIT.passed;
  },
});
