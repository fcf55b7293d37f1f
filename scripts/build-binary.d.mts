export const binary: string;
export function buildBinaries(options?: {
  targets?: readonly string[];
  log?: (text: string) => void;
}): Promise<{ failed: string[] }>;
