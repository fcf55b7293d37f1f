import { writeFileSync } from 'node:fs';
import { suite } from './suite.ts';

/** Of one test inside the extension host. */
export interface HostResult {
  readonly name: string;
  /** Undefined: it passed. */
  readonly failure?: string;
}

/**
 * What VS Code calls. The results go to a file, as a crash of the extension host would otherwise look like a success: who reads
 * them counts them, and asks for the last word.
 */
export async function run(): Promise<void> {
  const results: HostResult[] = [];
  const tell = (isWhole: boolean) =>
    writeFileSync(process.env.SIMPLE_CI_HOST_RESULTS!, JSON.stringify({ isWhole, results }));
  for (const [name, test] of Object.entries(suite)) {
    try {
      await test();
      results.push({ name });
    } catch (error) {
      results.push({ name, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
    tell(false);
  }
  tell(true);
  if (results.some(({ failure }) => failure !== undefined)) throw new Error('Tests failed');
}
