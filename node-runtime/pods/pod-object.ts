import { z } from 'zod';

const State = z
  .looseObject({
    waiting: z.looseObject({ reason: z.string().default(''), message: z.string().default('') }).optional(),
    running: z.looseObject({}).optional(),
    terminated: z
      .looseObject({ exitCode: z.int().default(0), reason: z.string().default(''), message: z.string().default('') })
      .optional(),
  })
  .default({});
const ContainerStatus = z.looseObject({ name: z.string(), state: State });

/** Of a pod as Kubernetes tells it, what is looked at here. */
export const PodObject = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z
    .looseObject({
      containers: z
        .array(
          z.looseObject({
            name: z.string(),
            image: z.string().default(''),
            imagePullPolicy: z.string().optional(),
            command: z.array(z.string()).optional(),
          }),
        )
        .default([]),
      imagePullSecrets: z.array(z.looseObject({})).optional(),
    })
    .default({ containers: [] }),
  status: z
    .looseObject({
      phase: z.string().default('Pending'),
      reason: z.string().default(''),
      message: z.string().default(''),
      podIP: z.string().optional(),
      conditions: z
        .array(
          z.looseObject({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
          }),
        )
        .default([]),
      initContainerStatuses: z.array(ContainerStatus).default([]),
      containerStatuses: z.array(ContainerStatus).default([]),
    })
    .prefault({}),
});
export type PodObject = z.infer<typeof PodObject>;
export const PodList = z.looseObject({
  metadata: z.looseObject({ continue: z.string().optional(), resourceVersion: z.string() }),
  items: z.array(PodObject),
});

const Version = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });
const Changed = z.looseObject({
  ...PodObject.shape,
  metadata: z.looseObject({ ...PodObject.shape.metadata.shape, ...Version.shape.metadata.shape }),
});

/** What Kubernetes tells of pods that are watched. */
export const PodEvent = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: Changed }),
  /** All up to this version has been told. */
  z.object({ type: z.literal('BOOKMARK'), object: Version }),
  /** It ends; most often as the version that was asked for is forgotten. */
  z.object({
    type: z.literal('ERROR'),
    object: z.looseObject({ code: z.int().optional(), message: z.string().default('') }),
  }),
]);
export type PodEvent = z.infer<typeof PodEvent>;
