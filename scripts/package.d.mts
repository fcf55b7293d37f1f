/** The package of the extension. */
export const vsix: string;
/** A file with the sizes of what was built, in bytes: of what is loaded at once, of the log's page, and of the package. */
export const sizesFile: string;
export function makePackage(options?: { log?: (text: string) => void; isBuilt?: boolean }): Promise<void>;
