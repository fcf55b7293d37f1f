/** Builds the extension; returns the sizes of what is loaded at once and of the log's page, in bytes. */
export function buildExtension(options?: {
  log?: (text: string) => void;
}): Promise<{ extension: number; page: number }>;
