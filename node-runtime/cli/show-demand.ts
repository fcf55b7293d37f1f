import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatTable } from './table.ts';
import { plainText } from './text-width.ts';

export async function showDemand(
  context: CliContext,
  options: ConnectionOptions & { readonly json: boolean },
): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { terminal, signal } = context;
  const report = await connection.client.call('demand', {}, signal);
  if (options.json) terminal.print(JSON.stringify(report));
  else
    for (const line of formatTable(TITLES, rowsOf(report.pools), terminal.columns, terminal.style))
      terminal.print(line);
  return EXIT.passed;
}

const TITLES = [
  { title: 'POOL', flexible: true },
  { title: 'DEMAND', align: 'right' },
  { title: 'SLOTS', align: 'right' },
  { title: 'NODES', align: 'right' },
] as const;

function rowsOf(pools: Readonly<Record<string, { demand: number; slots: number; nodes: number }>>): string[][] {
  return Object.entries(pools).map(([name, { demand, slots, nodes }]) => [
    plainText(name),
    String(demand),
    String(slots),
    String(nodes),
  ]);
}
