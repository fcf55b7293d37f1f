import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import { parseTaskId, quote, type TaskId } from '../shared/ids.ts';
import type { LogLineName } from '../shared/log-model/panel-messages.ts';

/** What a link to a task, or to a line of its log, means. It opens something and never runs anything. */
export interface TaskLink {
  readonly task: TaskId;
  /** The cluster that the task is on, as it calls itself. */
  readonly cluster: string;
  readonly line?: LogLineName;
}

/** `vscode://simple-ci.simple-ci/task/ID?cluster=acme%2Fci`, and for a line `&attempt=2&byte=4711` after it. */
export function taskLinkText(
  scheme: string,
  { task, cluster, line }: { readonly task: string; readonly cluster: string; readonly line?: LogLineName | undefined },
): string {
  const place = line ? `&attempt=${line.attempt}&byte=${line.offset}` : '';
  return `${scheme}://simple-ci.simple-ci/task/${task}?cluster=${encodeURIComponent(cluster)}${place}`;
}

/** Anybody can make a link: what is not exactly one of ours is refused. */
export function parseTaskLink({ path, query }: { readonly path: string; readonly query: string }): TaskLink {
  const refuse = (why: string) =>
    new CiError('invalid', l10n.t('Cannot open link as {0}: {1}', why, quote(`${path}?${query}`)));
  const [, task] = /^\/task\/([0-9a-z]+)$/.exec(path) ?? [];
  const words = new URLSearchParams(query);
  const cluster = words.get('cluster');
  if (task === undefined || cluster === null) throw refuse(l10n.t('it does not name a task and its cluster'));
  if (!words.has('attempt') && !words.has('byte')) return { task: parseTaskId(task), cluster };
  const line = { attempt: wholeNumber(words.get('attempt')), offset: wholeNumber(words.get('byte')) };
  if (!(line.attempt >= 1) || Number.isNaN(line.offset))
    throw refuse(l10n.t('it does not name an attempt and a byte of its log'));
  return { task: parseTaskId(task), cluster, line };
}

/** NaN for what is none that a log could have. */
function wholeNumber(text: string | null): number {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}
