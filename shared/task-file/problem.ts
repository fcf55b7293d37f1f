/** Something wrong with a task file, and where. */
export interface TaskFileProblem {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 units. */
  readonly column: number;
  /** As in `tasks.test.steps[0].run`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** The word that was probably meant. */
  readonly suggestion?: string;
}

export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!/^[\w-]+$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** `tasks.test.timout is not known, did you mean "timeout"?` */
export function describeProblem({ path, message, suggestion }: TaskFileProblem): string {
  const hint = suggestion === undefined ? '' : `, did you mean ${JSON.stringify(suggestion)}?`;
  return `${path === '' ? '' : `${path} `}${message}${hint}`;
}

/** `simple-ci.yaml:3:5: tasks.test.timout is not known, did you mean "timeout"?` */
export function formatProblem(file: string, problem: TaskFileProblem): string {
  return `${file}:${problem.line}:${problem.column}: ${describeProblem(problem)}`;
}
