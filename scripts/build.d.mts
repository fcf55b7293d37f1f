import type { Plugin } from 'esbuild';

export const bundle: string;
export function build(options?: {
  log?: (text: string) => void;
  outfile?: string;
  plugins?: readonly Plugin[];
}): Promise<number>;
