/** What is to be said about a benchmark's figures, in words: what is measured, and why an aim is missed. */
export const NOTES: Readonly<Record<string, readonly string[]>> = {};
