import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { QUANTITY } from '../system/quantity.ts';

const Quantity = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine(text => QUANTITY.test(text), 'must be like 500m, 2 or 4Gi');
const Texts = z.record(z.string(), z.string());
const Objects = z.array(z.looseObject({}));
const Amounts = z.record(z.string(), Quantity);

/** What whoever runs the cluster decides about the pods of tasks. What Kubernetes understands alone is passed on as it is. */
export const PodTemplate = z.strictObject({
  /** Of tasks that name none. Absent: that of the node. */
  image: z.string().min(1).optional(),
  /** Of images that tasks or this template name. Absent: as Kubernetes decides by the image's tag. */
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  /** For the images of tasks and for that of the node. Absent: those of the node's pod. */
  imagePullSecrets: Objects.optional(),
  /** For each slot that a task takes. */
  resources: z
    .strictObject({ requests: Amounts.optional(), limits: Amounts.optional() })
    .default({ requests: { cpu: '1', memory: '2Gi' }, limits: { memory: '2Gi' } }),
  /** Room for the files of a task. */
  storage: Quantity.default('10Gi'),
  labels: Texts.optional(),
  annotations: Texts.optional(),
  nodeSelector: Texts.optional(),
  tolerations: Objects.optional(),
  affinity: z.looseObject({}).optional(),
  topologySpreadConstraints: Objects.optional(),
  priorityClassName: z.string().optional(),
  runtimeClassName: z.string().optional(),
  /** False: users in the pod are others outside of it. Absent: as Kubernetes decides. */
  hostUsers: z.boolean().optional(),
  /** User and group of all containers. Null: whom Kubernetes chooses, who must not be root. */
  user: z.int().min(1).nullable().default(10_001),
});
export type PodTemplate = z.infer<typeof PodTemplate>;

/** Reads one from a file of JSON. Without a file it is the default one. */
export async function readPodTemplate(file: string | undefined): Promise<PodTemplate> {
  if (file === undefined) return PodTemplate.parse({});
  const refuse = (why: string, cause?: unknown) =>
    new CiError('invalid', `Cannot use the template for pods as ${why}: ${quote(file)}`, { cause });
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw refuse('it cannot be read', cause);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  const parsed = PodTemplate.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw refuse(`"${path.join('.')}" is wrong: ${message}`);
}
