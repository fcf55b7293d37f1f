import type { NodeView } from '../../shared/api.ts';
import { formatAge } from '../../shared/amounts.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatTable } from './table.ts';
import { plainText } from './text-width.ts';

type Options = ConnectionOptions & { readonly json: boolean };

export async function listNodes(context: CliContext, options: Options): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { nodes } = await connection.client.call('listNodes', {}, context.signal);
  if (options.json) context.terminal.print(JSON.stringify({ nodes }));
  else printTable(nodes, context);
  return EXIT.passed;
}

/** Who is there first, then a line for each that comes, changes or goes, until Ctrl-C. */
export async function watchNodes(context: CliContext, options: Options): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { terminal, clock } = context;
  for await (const update of connection.client.watchNodes(context.signal)) {
    const time = new Date(clock.now()).toTimeString().slice(0, 8);
    if (options.json) terminal.print(JSON.stringify(update));
    else if (update.kind === 'snapshot') printTable(update.nodes, context);
    else if (update.kind === 'gone') terminal.print(`${time}  ${terminal.style.yellow('departed')}  ${update.id}`);
    else terminal.print(`${time}  ${update.node.draining ? 'draining' : 'alive'}  ${plainText(update.node.node)}`);
  }
  return EXIT.passed;
}

function printTable(nodes: readonly NodeView[], { terminal, clock }: CliContext): void {
  const { style, columns } = terminal;
  const rows = nodes.map(node => [
    plainText(node.node),
    node.draining ? style.yellow('draining') : style.green('alive'),
    String(node.slots),
    plainText(node.labels.join(' ')),
    plainText(node.isolation),
    plainText(node.version),
    formatAge(node.started, clock.now()),
    plainText(node.address),
  ]);
  const titles = [
    { title: 'NODE', flexible: true },
    { title: 'STATE' },
    { title: 'SLOTS', align: 'right' },
    { title: 'LABELS', flexible: true },
    { title: 'ISOLATION' },
    { title: 'VERSION' },
    { title: 'STARTED' },
    { title: 'ADDRESS', flexible: true },
  ] as const;
  for (const line of formatTable(titles, rows, columns, style)) terminal.print(line);
}
