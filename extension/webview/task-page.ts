import * as l10n from '@vscode/l10n';
import { durationBetween } from '../../shared/amounts.ts';
import type { LifeSpan } from '../../shared/task-page/task-life.ts';
import type {
  Fact,
  FromTaskPage,
  TaskPageContent,
  TaskPageState,
  ToTaskPage,
} from '../../shared/task-page/task-page-messages.ts';
import { button, element, fill, keyedRows } from './elements.ts';
import { styles } from './task-page-styles.ts';
import { useTexts } from './use-texts.ts';

/** The page of a task in VS Code. What a cluster says gets into it as text and never as markup. */
declare function acquireVsCodeApi(): {
  postMessage(message: FromTaskPage): void;
  getState(): TaskPageState | undefined;
  setState(state: TaskPageState): void;
};

const vscode = acquireVsCodeApi();
useTexts();
const sheet = new CSSStyleSheet();
sheet.replaceSync(styles);
document.adoptedStyleSheets = [sheet];

const name = element('h1');
const state = element('span', 'state');
state.setAttribute('role', 'status');
const message = element('p', 'message');
const problem = element('p', 'problem');
problem.setAttribute('role', 'alert');
const openLog = button(l10n.t('Open Log'), 'first', () => vscode.postMessage({ type: 'log' }));
const runAgain = button(l10n.t('Run Again'), '', () => vscode.postMessage({ type: 'runAgain' }));
const cancel = button(l10n.t('Cancel'), '', () => vscode.postMessage({ type: 'cancel' }));
const saveAll = button(l10n.t('Save All'), 'link', () => vscode.postMessage({ type: 'saveAll' }));
const total = element('span');
const life = keyedRows<LifeSpan>({ keyOf: ({ id }) => id, draw: drawSpan, update: placeSpan });
const facts = element('dl');
const artifacts = keyedRows<TaskPageContent['artifacts'][number]>({ keyOf: ({ path }) => path, draw: drawArtifact });
const kept = section(l10n.t('Artifacts'), table('kept', [l10n.t('File'), l10n.t('Size'), saveAll], artifacts.body));
const main = element('main');
let shown: TaskPageContent | undefined;

fill(
  main,
  fill(element('header'), name, state, message),
  problem,
  fill(element('div', 'actions'), openLog, runAgain, cancel),
  section(
    l10n.t('Life'),
    table('life', [l10n.t('Part'), fill(element('div', 'axis'), text('0'), total), l10n.t('Took')], life.body),
  ),
  kept,
  section(l10n.t('Details'), facts),
);
main.hidden = true;
problem.hidden = true;
document.body.append(main);
window.addEventListener('message', ({ data }: MessageEvent<ToTaskPage>) => receive(data));
vscode.postMessage({ type: 'ready', state: vscode.getState() });

function receive(received: ToTaskPage): void {
  main.hidden = false;
  problem.hidden = received.type !== 'problem';
  if (received.type === 'problem') setText(problem, received.problem);
  else draw(received.content);
}

function draw(content: TaskPageContent): void {
  shown = content;
  vscode.setState({ task: content.id });
  setText(name, content.name);
  setText(state, content.state);
  state.className = `state ${content.tone}`;
  setText(message, content.message);
  openLog.hidden = !content.hasLog;
  runAgain.hidden = !content.isFinished;
  cancel.hidden = content.isFinished;
  setText(total, durationBetween(content.from, content.to) ?? '');
  life.show(content.spans);
  artifacts.show(content.artifacts);
  kept.hidden = content.artifacts.length === 0;
  drawFacts(content.facts);
}

function drawSpan(row: HTMLTableRowElement, span: LifeSpan): void {
  row.className = span.level === 1 ? 'inner' : '';
  const hasLog = span.attempt !== undefined && span.start !== undefined && span.id !== 'queued';
  const open = () => vscode.postMessage({ type: 'log', attempt: span.attempt, step: span.step });
  const label = hasLog ? button(span.label, 'link', open) : element('span', '', span.label);
  if (hasLog) label.title = l10n.t('Open its log');
  const word = spanWord(span.state);
  const what = fill(element('div', 'what'), label);
  if (word !== '') what.append(' ', element('span', `note word ${span.state}`, word));
  if (span.note !== '') what.append(' ', element('span', 'note', span.note));
  const bar = element('div', `bar ${span.state}${span.isEndGuessed ? ' guessed' : ''}`);
  const track = fill(element('td'), fill(element('div', 'track'), bar));
  track.setAttribute('aria-hidden', 'true');
  fill(row, fill(element('td'), what), track, element('td', 'took'));
}

/** Where its bar is, and how long it took, as the task goes on. */
function placeSpan(row: HTMLTableRowElement, span: LifeSpan): void {
  const bar = row.querySelector<HTMLElement>('.bar');
  const took = row.querySelector<HTMLElement>('.took');
  if (!shown || !bar || !took) return;
  const { start, end = shown.to } = span;
  bar.hidden = start === undefined;
  const { from, to } = shown;
  const share = (time: number) => (to > from ? Math.min(1, Math.max(0, (time - from) / (to - from))) : 0);
  const [left, right] = [share(start ?? from), share(end)];
  bar.style.left = `min(${left * 100}%, calc(100% - 3px))`;
  bar.style.width = `${Math.max(0, right - left) * 100}%`;
  setText(took, tookText(span));
}

function spanWord(state: LifeSpan['state']): string {
  const words: Readonly<Record<LifeSpan['state'], string>> = {
    waiting: l10n.t('waiting'),
    running: l10n.t('running'),
    done: '',
    passed: l10n.t('passed'),
    failed: l10n.t('failed'),
    stopped: l10n.t('stopped'),
    skipped: l10n.t('skipped'),
    lost: l10n.t('lost'),
  };
  return words[state];
}

function tookText({ start, end, isEndGuessed }: LifeSpan): string {
  const took = durationBetween(start, end ?? shown?.to);
  if (took === undefined) return '';
  return isEndGuessed ? l10n.t`at most ${took}` : took;
}

function drawArtifact(
  row: HTMLTableRowElement,
  { path, size }: { readonly path: string; readonly size: string },
): void {
  const act = (action: 'open' | 'compare' | 'save') => () => vscode.postMessage({ type: 'artifact', path, action });
  const more = element('td');
  for (const [label, action] of [
    [l10n.t('Compare'), 'compare'],
    [l10n.t('Save'), 'save'],
  ] as const) {
    const one = button(label, 'link', act(action));
    one.setAttribute('aria-label', `${label} ${path}`);
    more.append(one);
  }
  fill(row, fill(element('td'), button(path, 'link', act('open'))), element('td', 'quiet', size), more);
}

let factsShown = '';
function drawFacts(list: readonly Fact[]): void {
  const key = JSON.stringify(list);
  if (key === factsShown) return;
  factsShown = key;
  facts.replaceChildren(
    ...list.flatMap(({ label, value }) => [element('dt', '', label), element('dd', '', valueText(value))]),
  );
}

/** Times as the user's own clock shows them. */
function valueText(value: string | number): string {
  return typeof value === 'string' ? value : new Date(value).toLocaleString(document.documentElement.lang);
}

function section(title: string, content: HTMLElement): HTMLElement {
  const section = fill(element('section'), element('h2', '', title), content);
  return section;
}

function table(className: string, titles: readonly (string | HTMLElement)[], body: HTMLElement): HTMLElement {
  const heads = titles.map(title => {
    const head = typeof title === 'string' ? element('th', '', title) : fill(element('th'), title);
    head.setAttribute('scope', 'col');
    return head;
  });
  return fill(element('table', className), fill(element('thead'), fill(element('tr'), ...heads)), body);
}

function text(content: string): HTMLElement {
  return element('span', '', content);
}

/** Unchanged text is left alone: what is selected stays so, and screen readers say nothing. */
function setText(target: HTMLElement, content: string): void {
  if (target.textContent !== content) target.textContent = content;
}
