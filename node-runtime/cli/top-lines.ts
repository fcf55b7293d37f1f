import type { NodeView, TaskSummary } from '../../shared/api.ts';
import { count, durationBetween, formatAge } from '../../shared/amounts.ts';
import { explainQueue } from '../../shared/explain-queue.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { ClusterPicture } from './cluster-picture.ts';
import { outcomeText } from './outcome-text.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';
import { fit, plainText } from './text-width.ts';

export interface TopLayout {
  readonly title: string;
  readonly now: number;
  /** Of the terminal; undefined when there is none, and nothing needs to fit. */
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  readonly style: Style;
}

/** Finished tasks are counted, and shown, for so long. */
const LATELY_MS = 15 * 60_000;
const BAR_CELLS = 10;
/** Of a part that must give way, so many rows stay. */
const FEWEST_ROWS = 3;
/** Title, counts and the empty line below; titles of parts and the empty lines between them. */
const FIXED_ROWS = 3 + 4 * 2;

/** What a cluster is at, as lines of a screen: busy nodes and what has run for longest first. */
export function topLines(picture: ClusterPicture, layout: TopLayout): string[] {
  const { columns, now, style, title } = layout;
  const tasks = [...picture.tasks.values()];
  const running = tasks.filter(task => task.state === 'running').sort((a, b) => (a.claimed ?? 0) - (b.claimed ?? 0));
  const queued = tasks.filter(task => task.state === 'queued').sort((a, b) => (a.id < b.id ? -1 : 1));
  const ended = tasks
    .filter(task => task.state === 'finished' && now - (task.finished ?? 0) < LATELY_MS)
    .sort((a, b) => (b.finished ?? 0) - (a.finished ?? 0));
  const nodes = [...picture.nodes.values()];
  const parts = [
    nodeTable(nodes, running, layout),
    runningTable(running, layout),
    queuedTable(queued, picture, layout),
    endedTable(ended, layout),
  ];
  const line = (text: string) => (columns === undefined ? text : fit(text, columns));
  return [
    style.bold(line(title)),
    line(summary(nodes, running, queued, ended, now)),
    ...fitParts(parts, layout).flatMap(part => (part.length > 1 ? ['', ...part] : [])),
  ];
}

function summary(
  nodes: readonly NodeView[],
  running: readonly TaskSummary[],
  queued: readonly TaskSummary[],
  ended: readonly TaskSummary[],
  now: number,
): string {
  const slots = nodes.filter(node => !node.draining).reduce((sum, node) => sum + node.slots, 0);
  const oldest = Math.min(...queued.map(task => task.submitted));
  const waits = queued.length === 0 ? '' : `, the oldest for ${durationBetween(oldest, now)}`;
  const bad = ended.filter(task => task.outcome !== 'passed' && task.outcome !== 'cancelled').length;
  const lately = `${ended.length} ended in 15 min${bad > 0 ? `, ${bad} of them badly` : ''}`;
  return [
    `${count(nodes.length, 'node')} with ${count(slots, 'slot')}`,
    `${running.length} running`,
    `${queued.length} queued${waits}`,
    lately,
  ].join(' · ');
}

function nodeTable(nodes: readonly NodeView[], running: readonly TaskSummary[], layout: TopLayout): string[] {
  const { style, columns, now } = layout;
  const busy = Map.groupBy(running, task => task.node);
  const rows = nodes
    .map(node => ({ node, tasks: busy.get(node.node) ?? [] }))
    .sort((a, b) => b.tasks.length - a.tasks.length || (a.node.node < b.node.node ? -1 : 1))
    .map(({ node, tasks }) => [
      plainText(node.node),
      `${bar(tasks.length, node.slots, style)} ${tasks.length} of ${node.slots}`,
      node.draining ? style.yellow('draining') : style.green('alive'),
      plainText(node.labels.join(' ')),
      formatAge(node.started, now),
    ]);
  const titles = [
    { title: 'NODE', flexible: true },
    { title: 'RUNNING' },
    { title: 'STATE' },
    { title: 'LABELS', flexible: true },
    { title: 'STARTED' },
  ] as const;
  return formatTable(titles, rows, columns, style);
}

function bar(used: number, total: number, style: Style): string {
  const full = total === 0 ? 0 : Math.min(BAR_CELLS, Math.ceil((used / total) * BAR_CELLS));
  return `${style.cyan('█'.repeat(full))}${style.dim('░'.repeat(BAR_CELLS - full))}`;
}

function runningTable(tasks: readonly TaskSummary[], { style, columns, now }: TopLayout): string[] {
  const rows = tasks.map(task => [
    task.id,
    plainText(task.name),
    durationBetween(task.claimed, now) ?? '',
    plainText(task.node ?? ''),
    task.cancelling ? style.yellow('cancelling') : task.attempt === 1 ? '' : style.yellow(`attempt ${task.attempt}`),
    plainText(task.submitter),
  ]);
  const titles = [
    { title: 'RUNNING' },
    { title: 'NAME', flexible: true },
    { title: 'FOR', align: 'right' },
    { title: 'NODE', flexible: true },
    { title: '' },
    { title: 'OF', flexible: true },
  ] as const;
  return formatTable(titles, rows, columns, style);
}

function queuedTable(queued: readonly TaskSummary[], { tasks, nodes }: ClusterPicture, layout: TopLayout): string[] {
  const { style, columns, now, rows: height = Number.POSITIVE_INFINITY } = layout;
  // Why a task waits depends on all others: asked only for those that may be seen.
  const rows = queued.map((task, at) => [
    task.id,
    plainText(task.name),
    durationBetween(task.submitted, now) ?? '',
    at > height ? '' : plainText(explainQueue(task.id as TaskId, task, tasks.values(), nodes.values()).text),
  ]);
  const titles = [
    { title: 'QUEUED' },
    { title: 'NAME', flexible: true },
    { title: 'FOR', align: 'right' },
    { title: 'WHY', flexible: true },
  ] as const;
  return formatTable(titles, rows, columns, style);
}

function endedTable(tasks: readonly TaskSummary[], { style, columns, now }: TopLayout): string[] {
  const rows = tasks.map(task => [
    task.id,
    plainText(task.name),
    task.outcome ? outcomeText(task.outcome, style) : '',
    durationBetween(task.claimed, task.finished) ?? '',
    formatAge(task.finished ?? now, now),
  ]);
  const titles = [
    { title: 'ENDED' },
    { title: 'NAME', flexible: true },
    { title: 'OUTCOME' },
    { title: 'TOOK', align: 'right' },
    { title: 'WHEN' },
  ] as const;
  return formatTable(titles, rows, columns, style);
}

/** The longest part gives way, a row at a time, and says how much is left out. */
function fitParts(parts: readonly string[][], { rows, style }: TopLayout): readonly string[][] {
  if (rows === undefined) return parts;
  const heights = parts.map(part => part.length - 1);
  const excess = () => heights.reduce((sum, height) => sum + height, 0) - Math.max(0, rows - FIXED_ROWS);
  while (excess() > 0) {
    const longest = heights.indexOf(Math.max(...heights));
    if (heights[longest]! <= FEWEST_ROWS) break;
    heights[longest]!--;
  }
  return parts.map((part, i) => {
    const left = part.length - 1 - heights[i]!;
    return left === 0 ? part : [...part.slice(0, heights[i]), style.dim(`… ${left + 1} more`)];
  });
}
