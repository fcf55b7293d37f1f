/** What is started with the pinned Node to run VS Code as a server. */
export const codeServer: string;
export function installVscode(options: { log: (text: string) => void }): Promise<{ missing: string[] }>;
