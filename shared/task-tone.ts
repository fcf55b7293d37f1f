/** How a task looks that is in this state, whatever the word for it. */
export type TaskTone = 'waiting' | 'running' | 'passed' | 'failed' | 'cancelled';
