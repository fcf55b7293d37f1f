/** What some clusters have besides: their own scaling, or a queue so long and with so many nodes at it that they look at stretches of it. */
export const WORKLOADS = ['scaling', 'crowd'] as const;
export type Workload = (typeof WORKLOADS)[number];
