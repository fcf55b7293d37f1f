import { writeFileSync } from 'node:fs';
import { readOomScore } from './proc.ts';

/**
 * Does something with another score, which what is started meanwhile inherits: when memory runs out, the kernel chooses tasks
 * before the supervisor and the node.
 */
export function withOomScore<T>(score: number, action: () => T): T {
  if (!maySetOomScore) return action();
  setOomScore(score);
  try {
    return action();
  } finally {
    setOomScore(ownScore);
  }
}

const ownScore = process.platform === 'linux' ? readOomScore(process.pid) : 0;

/** Some containers do not let it be set: then tasks are as likely to be chosen as we are. */
export const maySetOomScore: boolean = process.platform === 'linux' && canSet();

function canSet(): boolean {
  try {
    setOomScore(ownScore);
    return true;
  } catch {
    return false;
  }
}

function setOomScore(score: number): void {
  writeFileSync('/proc/self/oom_score_adj', String(score));
}
