/** What is started with the pinned Node to run VS Code as a server. */
export const codeServer: string;
/** The browser that looks at it, alone. */
export function installBrowser(options: { log: (text: string) => void }): Promise<{ missing: string[] }>;
export function installVscode(options: { log: (text: string) => void }): Promise<{ missing: string[] }>;
