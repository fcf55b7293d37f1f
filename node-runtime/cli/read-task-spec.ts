import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import { TaskSpec } from '../../shared/task.ts';
import { formatPath, formatProblem, type TaskFileProblem } from '../../shared/task-file/problem.ts';
import { readTaskFileDocument } from '../../shared/task-file/task-file-document.ts';

/** How many problems are told at once. */
const MOST_PROBLEMS = 10;

/** Reads a whole task from JSON or YAML. Rejects with `invalid`, a line for each problem with its place in the file. */
export function readTaskSpec(text: string, name: string): TaskSpec {
  const isJson = name.endsWith('.json') || text.trimStart().startsWith('{');
  const document = readTaskFileDocument(text, isJson);
  if (Array.isArray(document)) throw refuse(name, document);
  const parsed = TaskSpec.safeParse(document.value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue): TaskFileProblem => {
    const words = issue.path.map(part => (typeof part === 'number' ? part : String(part)));
    return { ...document.positionOf(words), path: formatPath(words), message: describeIssue(issue, document.value) };
  });
  throw refuse(name, problems);
}

function refuse(name: string, problems: readonly TaskFileProblem[]): CiError {
  const lines = problems.slice(0, MOST_PROBLEMS).map(problem => `  ${formatProblem(name, problem)}`);
  const more = problems.length > MOST_PROBLEMS ? [`  and ${problems.length - MOST_PROBLEMS} more`] : [];
  return new CiError('invalid', `Cannot submit task as its file is wrong:\n${[...lines, ...more].join('\n')}`);
}
