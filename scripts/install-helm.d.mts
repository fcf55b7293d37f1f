/** What renders the chart, once it is installed. */
export const helm: string;
export function installHelm(options: { log: (text: string) => void }): Promise<{ missing: string[] }>;
