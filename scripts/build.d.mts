export const bundle: string;
export function build(options?: { log?: (text: string) => void }): Promise<number>;
