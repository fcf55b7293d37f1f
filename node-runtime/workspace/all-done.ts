/** Like `Promise.all`, but waits for all of them whatever becomes of one: what still ran would meet whoever tries again. */
export async function allDone<T extends readonly unknown[]>(
  work: T,
): Promise<{ -readonly [At in keyof T]: Awaited<T[At]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
