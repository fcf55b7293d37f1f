/** What a process says of itself. Sizes in bytes. */
export interface ProbeLine {
  readonly heapUsed: number;
  /** What is kept for JavaScript outside of its heap, array buffers included. */
  readonly external: number;
  readonly arrayBuffers: number;
  /** By how much its event loop was late since the line before, in milliseconds. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  /** Part of the time since the line before that the event loop was busy. */
  readonly busy: number;
  /** What keeps it awake, by kind: timers, sockets, … */
  readonly resources: Readonly<Record<string, number>>;
}
