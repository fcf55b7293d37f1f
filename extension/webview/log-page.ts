import type { LogEvent, LogMark } from '../../shared/log.ts';
import type { LogQuery } from '../../shared/log-model/log-search.ts';
import type { ByteRange } from '../../shared/log-model/log-window.ts';
import type {
  FromPanel,
  LogLineName,
  LogPlace,
  PanelState,
  PanelTask,
  ToPanel,
} from '../../shared/log-model/panel-messages.ts';
import type { LogSource } from '../../shared/log-viewer/log-source.ts';
import { defineLogViewer } from '../../shared/log-viewer/log-viewer.ts';
import { useTexts } from './use-texts.ts';

/** The page of a log in VS Code: a viewer, and messages between it and the extension. */
declare function acquireVsCodeApi(): {
  postMessage(message: FromPanel): void;
  getState(): PanelState | undefined;
  setState(state: PanelState | undefined): void;
};

const vscode = acquireVsCodeApi();
useTexts();
defineLogViewer();
const viewer = document.createElement('log-viewer');
document.body.append(viewer);

class PanelSource implements LogSource {
  readonly #marks = new Map<number, (marks: readonly LogMark[]) => void>();
  readonly #reads = new Map<number, PromiseWithResolvers<readonly LogEvent[]>>();
  #requests = 0;
  #search:
    | { readonly request: number; found(offsets: readonly number[]): void; end(problem?: string): void }
    | undefined;

  read(fence: number, range: ByteRange): Promise<readonly LogEvent[]> {
    const request = ++this.#requests;
    vscode.postMessage({ type: 'read', request, fence, range });
    const read = Promise.withResolvers<readonly LogEvent[]>();
    this.#reads.set(request, read);
    return read.promise;
  }

  marks(fence: number): Promise<readonly LogMark[]> {
    const request = ++this.#requests;
    vscode.postMessage({ type: 'marks', request, fence });
    return new Promise(resolve => this.#marks.set(request, resolve));
  }

  told({ request, marks }: Extract<ToPanel, { type: 'marks' }>): void {
    this.#marks.get(request)?.(marks);
    this.#marks.delete(request);
  }

  search(fence: number, query: LogQuery, found: (offsets: readonly number[]) => void): Promise<string | undefined> {
    const request = ++this.#requests;
    vscode.postMessage({ type: 'search', request, fence, query });
    return new Promise(end => {
      this.#search = { request, found, end };
    });
  }

  stopSearch(): void {
    this.#search?.end();
    this.#search = undefined;
    vscode.postMessage({ type: 'stopSearch' });
  }

  answer({ request, events, problem }: Extract<ToPanel, { type: 'range' }>): void {
    const read = this.#reads.get(request);
    this.#reads.delete(request);
    if (problem === undefined) read?.resolve(events);
    else read?.reject(new Error(problem));
  }

  found(request: number, offsets: readonly number[]): void {
    if (this.#search?.request === request) this.#search.found(offsets);
  }

  searched(request: number, problem?: string): void {
    if (this.#search?.request === request) this.#search.end(problem);
  }
}

const source = new PanelSource();
viewer.source = source;
let task: PanelTask | undefined;
let restored = vscode.getState();
/** The task whose log is shown: another one may have been told already. */
let shown: string | undefined;
/** Where it is to be opened, until it is. */
let going: LogPlace | undefined;
if (restored) viewer.timestamps = restored.timestamps;

window.addEventListener('message', ({ data }: MessageEvent<ToPanel>) => receive(data));
viewer.addEventListener('log-link', event => vscode.postMessage({ type: 'link', link: (event as CustomEvent).detail }));
viewer.addEventListener('log-attempt', event =>
  vscode.postMessage({ type: 'attempt', attempt: (event as CustomEvent).detail }),
);
viewer.addEventListener('log-position', keepState);
// Before VS Code, which asks the element under the mouse what its menu is about.
viewer.addEventListener('contextmenu', () => {
  const line = chosenLine();
  viewer.dataset.vscodeContext = JSON.stringify(line && task ? { webviewSection: 'line', task: task.id, ...line } : {});
});
vscode.postMessage({ type: 'ready', state: restored });

function receive(message: ToPanel): void {
  switch (message.type) {
    case 'task':
      task = message.task;
      viewer.task = task;
      if (task?.id === shown) keepState();
      return;
    case 'restart':
      going = placeAfterRestart(message.line);
      viewer.restart(message.attempt, going);
      restored = undefined;
      shown = task?.id;
      keepState();
      return;
    case 'events':
      going = undefined;
      viewer.push(message.events);
      // The next ones come when these have been drawn.
      requestAnimationFrame(() => vscode.postMessage({ type: 'taken' }));
      return;
    case 'ended':
      return;
    case 'failed':
      viewer.failed(message.message);
      return;
    case 'range':
      source.answer(message);
      return;
    case 'marks':
      source.told(message);
      return;
    case 'hits':
      source.found(message.request, message.offsets);
      return;
    case 'searched':
      source.searched(message.request, message.problem);
      return;
    case 'find':
      viewer.openSearch();
      return;
    case 'timestamps':
      viewer.nextTimestamps();
      return;
  }
}

/** The line that is asked for; else where one was, before the page was away or the cluster was. */
function placeAfterRestart(line: number | undefined): LogPlace | undefined {
  if (line !== undefined) return { kind: 'line', offset: line };
  if (restored?.task === task?.id) return topAt(restored?.offset, restored?.attempt);
  return shown === task?.id ? (going ?? topAt(viewer.offset, viewer.attempt)) : undefined;
}

function topAt(offset: number | undefined, attempt: number | undefined): LogPlace | undefined {
  return offset === undefined ? undefined : { kind: 'top', offset, attempt };
}

function chosenLine(): LogLineName | undefined {
  const { attempt, chosen } = viewer;
  return attempt === undefined || chosen === undefined ? undefined : { attempt, offset: chosen };
}

/** What is needed to be back at the same place when the page was away. */
function keepState(): void {
  if (!task) return;
  const { attempt, timestamps } = viewer;
  const offset = viewer.offset ?? (going?.kind === 'top' ? going.offset : undefined);
  const line = chosenLine();
  const state: PanelState = {
    task: task.id,
    timestamps,
    ...(attempt !== undefined && task.attempts.length > 1 && { attempt }),
    ...(offset !== undefined && { offset }),
    ...(line && { line }),
  };
  vscode.setState(state);
  vscode.postMessage({ type: 'state', state });
}
