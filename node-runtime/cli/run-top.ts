import { type ClusterPicture, watchCluster } from './cluster-picture.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { topLines } from './top-lines.ts';

type Options = ConnectionOptions & { readonly once: boolean; readonly json: boolean };

/** How often the screen is drawn, in milliseconds: durations tick. */
const REDRAW_MS = 1000;
const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/** Shows what a cluster is at: as a screen that changes, or once where there is no terminal to change. */
export async function runTop(context: CliContext, options: Options): Promise<ExitCode> {
  const { terminal, signal } = context;
  await using connection = await connect(context, options);
  const { cluster, node } = await connection.client.call('cluster', {}, signal);
  const title = `${cluster}, seen through ${node}`;
  const done = new AbortController();
  const until = AbortSignal.any([signal, done.signal]);
  if (options.json || options.once || terminal.columns === undefined) {
    await watchCluster(
      connection.client,
      picture => {
        if (!done.signal.aborted) printOnce(picture, title, context, options);
        done.abort();
      },
      until,
    ).catch(error => {
      if (!done.signal.aborted) throw error;
    });
  } else await showScreen(look => watchCluster(connection.client, look, signal), title, context);
  return EXIT.passed;
}

function printOnce(picture: ClusterPicture, title: string, { terminal, clock }: CliContext, options: Options): void {
  if (options.json) {
    terminal.print(JSON.stringify({ nodes: [...picture.nodes.values()], tasks: [...picture.tasks.values()] }));
    return;
  }
  const { columns, style } = terminal;
  const layout = { title, now: clock.now(), columns, rows: undefined, style };
  for (const line of topLines(picture, layout)) terminal.print(line);
}

/** The screen is given back however this ends. */
async function showScreen(
  watch: (look: (picture: ClusterPicture) => void) => Promise<void>,
  title: string,
  { terminal, clock, signal }: CliContext,
): Promise<void> {
  let picture: ClusterPicture | undefined;
  let drawing = Promise.resolve();
  const draw = () => {
    if (!picture) return;
    const { columns, rows, style } = terminal;
    const lines = topLines(picture, { title, now: clock.now(), columns, rows, style }).slice(0, rows);
    const screen = `${HOME}${lines.map(line => line + CLEAR_LINE).join('\n')}${CLEAR_BELOW}`;
    // One at a time: a terminal that is slow is drawn less often.
    drawing = drawing.then(() => terminal.write(screen));
  };
  const ended = new AbortController();
  const tick = async () => {
    while (!ended.signal.aborted) {
      draw();
      await drawing;
      await clock.sleep(REDRAW_MS, AbortSignal.any([signal, ended.signal])).catch(() => ended.abort());
    }
  };
  await terminal.write(ENTER_SCREEN);
  const ticking = tick();
  try {
    await watch(now => {
      const isFirst = picture === undefined;
      picture = now;
      if (isFirst) draw();
    });
  } finally {
    ended.abort();
    await ticking;
    await drawing;
    await terminal.write(LEAVE_SCREEN);
  }
}
