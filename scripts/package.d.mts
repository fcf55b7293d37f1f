/** The package of the extension. */
export const vsix: string;
/** Returns its size in bytes. */
export function makePackage(options?: { log?: (text: string) => void; isBuilt?: boolean }): Promise<number>;
