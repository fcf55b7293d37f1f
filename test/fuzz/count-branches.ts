import { parseSync } from 'oxc-parser';

/** A source in which every branch counts how often it is entered. Lines stay where they are. */
export interface CountedSource {
  readonly text: string;
  readonly branches: number;
  /** What its author compares with and looks up: texts, the names of properties, numbers. */
  readonly words: readonly (string | number)[];
}

/** As much of a node of a syntax tree as is needed here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

const LONGEST_WORD = 40;

/** @param counter an expression that counts, for the branch with this number */
export function countBranches(file: string, text: string, counter: (branch: number) => string): CountedSource {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`Cannot read ${file} as a program: ${errors[0]!.message}`);
  const insertions: (readonly [at: number, text: string])[] = [];
  const words = new Set<string | number>();
  let branches = 0;
  const insert = (at: number, said: string) => insertions.push([at, said]);
  const count = () => counter(branches++);

  function statement(node: Node): void {
    if (node.type === 'BlockStatement') {
      const directives = listOf(node.body).filter(one => typeof one.directive === 'string');
      insert(directives.at(-1)?.end ?? node.start + 1, `;${count()};`);
      visit(node);
    } else {
      insert(node.start, `{${count()};`);
      visit(node);
      insert(node.end, '}');
    }
  }

  function expression(node: Node): void {
    insert(node.start, `(${count()},`);
    visit(node);
    insert(node.end, ')');
  }

  /** What is run only sometimes. */
  function branchesOf(node: Node): readonly unknown[] {
    switch (node.type) {
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
      case 'CatchClause':
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
      case 'WhileStatement':
        return [node.body];
      case 'IfStatement':
      case 'ConditionalExpression':
        return [node.consequent, node.alternate];
      case 'LogicalExpression':
      case 'AssignmentPattern':
        return [node.right];
      default:
        return [];
    }
  }

  function visit(node: Node): void {
    const own = branchesOf(node);
    noteWord(node);
    if (node.type === 'SwitchCase') insert(listOf(node.consequent)[0]?.start ?? node.end, ` ${count()};`);
    for (const child of Object.values(node).flat()) {
      if (!isNode(child)) continue;
      if (!own.includes(child)) visit(child);
      else if (/Statement$/.test(child.type)) statement(child);
      else expression(child);
    }
    // Not to enter it is a branch as well.
    if (node.type === 'IfStatement' && node.alternate === null) insert(node.end, ` else ${count()};`);
  }

  function noteWord({ type, value, key }: Node): void {
    const word = type === 'Literal' ? value : isNode(key) ? key.name : undefined;
    if (typeof word === 'number' || (typeof word === 'string' && word !== '' && word.length <= LONGEST_WORD))
      words.add(word);
  }

  visit(program as unknown as Node);
  return { text: withInsertions(text, insertions), branches, words: [...words] };
}

function withInsertions(text: string, insertions: readonly (readonly [number, string])[]): string {
  let done = 0;
  const parts = insertions
    .toSorted(([a], [b]) => a - b)
    .map(([at, said]) => {
      const part = text.slice(done, at) + said;
      done = at;
      return part;
    });
  return parts.join('') + text.slice(done);
}

function listOf(value: unknown): Node[] {
  return Array.isArray(value) ? (value as Node[]) : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}
