import { z } from 'zod';
import { DURATION_PATTERN, LONGEST_DURATION_MS, unitsToMs } from './duration.ts';

/** The largest task.json, in bytes of UTF-8. Anything bigger belongs into the workspace. */
export const MAX_TASK_BYTES = 65_536;
/** The format this release writes. A record of a newer major format is refused, unknown fields of this one are kept. */
export const FORMAT_VERSION = 1;

const Duration = z
  .union([
    z
      .string()
      .regex(DURATION_PATTERN, 'must be like "90s", "10m" or "1h30m"')
      .refine(text => !(unitsToMs(text) > LONGEST_DURATION_MS), 'must be a year at most: "365d"')
      .refine(text => !(unitsToMs(text) < 1), 'must be a millisecond at least'),
    z
      .number()
      .min(0.001)
      .max(LONGEST_DURATION_MS / 1000),
  ])
  .describe('How long: "90s", "10m", "1h30m", or a number of seconds.');

const Name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not hold control characters');

/** SIMPLE_CI_* is what the node tells the task; a task that sets it would lie to its own commands. */
const Environment = z
  .record(
    z
      .string()
      .max(200)
      .regex(
        /^(?!SIMPLE_CI_)[A-Za-z_][A-Za-z0-9_]*$/,
        'must be letters, digits and _, not start with a digit or SIMPLE_CI_',
      ),
    z.string().regex(/^[^\u0000]*$/, 'must not hold a NUL character'),
  )
  .describe('Environment variables. Values are passed as they are, never expanded.');

/** Programs get it as an argument, and arguments end at a NUL. */
const Script = z
  .string()
  .min(1)
  .regex(/^[^\u0000]*$/, 'must not hold a NUL character');

const RelativePath = z
  .string()
  .min(1)
  .max(1000)
  .regex(
    /^(?!\/)(?!([\s\S]*\/)?\.\.(\/|$))[^\u0000\\]+$/,
    'must be a path inside the workspace: relative, with / between parts, without ..',
  );

export const MAX_LABELS = 50;
export const Label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/=-]{0,99}$/, 'must be 1 to 100 of [A-Za-z0-9._/=-]');

export const Step = z.looseObject({
  name: Name.optional().describe('What people read; the command itself if absent.'),
  run: Script.describe('The command or script.'),
  shell: z
    .union([z.enum(['bash', 'sh']), z.array(Script).min(1).max(20)])
    .optional()
    .describe(
      '"bash" or "sh" (both stop at the first failing command), or an argument list to which the script file is added. Default: bash where there is one, else sh.',
    ),
  env: Environment.optional(),
  workingDirectory: RelativePath.optional().describe('Relative to the workspace. Default: the task’s own.'),
  timeout: Duration.optional().describe('For this step alone. Default: none, but for the task’s own.'),
  continueOnError: z
    .boolean()
    .optional()
    .describe('Go on with the next step, and let the task pass, when this one fails.'),
});

/** A registry with its port, a path, then a tag or a digest, or both: `node:24`, `registry.example:5000/team/tool@sha256:…`. */
const Image = z
  .string()
  .max(500)
  .regex(
    /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/,
    'must be a name of a container image, like node:24 or registry.example/team/tool@sha256:…',
  );

const ObjectName = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, 'must be 40 or 64 of [0-9a-f]');

/** The rules of git check-ref-format, and no leading - or +. */
const GIT_REF =
  /^(?![-+/.])(?!@$)(?![\s\S]*(\.\.|@\{|\/\/|\/\.|\.lock(\/|$)))[^\u0000-\u0020\u007f~^:?*[\\]*[^\u0000-\u0020\u007f~^:?*[\\/.]$/;

export const SnapshotSource = z.looseObject({
  type: z.literal('snapshot'),
  commit: ObjectName,
  tree: ObjectName,
  branch: z
    .string()
    .max(500)
    .regex(GIT_REF, 'must be a branch that git would accept')
    .optional()
    .describe('The branch that was checked out in the workspace. For people; nothing is done with it.'),
});

/** What everybody who may read the task would read too. A user without a password is none. */
const NO_PASSWORD = /^(?![A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#:]*:[^/?#]*@)/;
/** Nothing that git or ssh could take for an option, a path or a command. */
const GIT_ADDRESS =
  /^((https|ssh):\/\/((?!%2[Dd])[A-Za-z0-9_.~%][A-Za-z0-9_.~%+-]*@)?([^-@:/?#%[\]\\\u0000-\u0020\u007f][^@:/?#%[\]\\\u0000-\u0020\u007f]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][^\u0000-\u0020\u007f]*)?|[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?![/-])[^\u0000-\u0020\u007f]+)$/;
/** What it accepts can be given to git as it is: the checkout asks no more than this. */
export const GitSource = z.looseObject({
  type: z.literal('git'),
  url: z
    .string()
    .max(2000)
    .regex(
      NO_PASSWORD,
      'must not hold a password, as all who may see the task would see it: clone in a step instead, with one of the cluster’s secrets',
    )
    .regex(GIT_ADDRESS, 'must be like https://host/path, ssh://user@host/path or user@host:path'),
  ref: z
    .string()
    .max(500)
    .regex(
      GIT_REF,
      'must be a branch, tag or whole commit id that git would accept: without spaces, .., @{ and ~ ^ : ? * [ \\, not starting with - + / or ., not ending with / . or .lock',
    ),
});

export const Source = z.discriminatedUnion('type', [
  SnapshotSource,
  GitSource,
  z.looseObject({ type: z.literal('none') }),
]);

/** What a workspace's simple-ci.yaml says of one task: a task without its source. */
const body = {
  name: Name.describe('What people read in lists.'),
  steps: z.array(Step).min(1).max(200).describe('Commands, one after another; the first that fails ends the task.'),
  env: Environment.optional(),
  workingDirectory: RelativePath.optional().describe(
    'Where steps begin, relative to the workspace. Default: its root.',
  ),
  timeout: Duration.optional().describe('For preparing the files and all steps together. Default: 1h.'),
  idleTimeout: Duration.optional().describe(
    'Longest silence: without output for this long the task is stopped. Default: none.',
  ),
  priority: z.int().min(0).max(9).optional().describe('0 is the most urgent, 5 normal, 9 the least urgent.'),
  labels: z.array(Label).max(MAX_LABELS).optional().describe('Only nodes that have all of these labels take the task.'),
  slots: z.int().min(1).max(1000).optional().describe('How many of a node’s slots it takes. Default: 1.'),
  image: Image.optional().describe(
    'The container image that the steps run in. Only nodes that run tasks in containers take the task: those with the label container.',
  ),
  artifacts: z
    .array(RelativePath)
    .max(100)
    .optional()
    .describe('Files to keep: paths relative to the workspace, with * ** ? and [ ].'),
  attempts: z
    .looseObject({
      crashed: z
        .int()
        .min(1)
        .max(100)
        .optional()
        .describe('How many attempts may end in a crash of the task’s process. Default: 3.'),
      lost: z.int().min(1).max(100).optional().describe('How many attempts may be lost with their node. Default: 10.'),
    })
    .optional()
    .describe('How often the task may be begun anew when an attempt ends without a verdict.'),
  idempotent: z
    .boolean()
    .optional()
    .describe('false: start it at most once, and report it lost rather than repeat it. Default: true.'),
  secrets: z
    .array(z.string().regex(/^[A-Z_][A-Z0-9_]{0,99}$/, 'must be 1 to 100 of [A-Z0-9_], not starting with a digit'))
    .max(50)
    .optional()
    .describe('Names of the cluster’s secrets to pass as environment variables.'),
};

export const TaskBody = z.looseObject(body);

/** task.json as people submit it. */
export const TaskSpec = z.looseObject({
  ...body,
  source: Source.optional().describe('Where the files come from. Default: none, an empty workspace.'),
});

/** task.json as it lies in `tasks/`: the spec, and what the cluster says of it. */
export const TaskRecord = z.looseObject({
  ...TaskSpec.shape,
  v: z.int().min(1),
  /** Milliseconds since 1970 by the clock of the node that took it. For display only: order is by key. */
  submitted: z.number(),
  /** Who submitted it: the name of the token. */
  submitter: z.string(),
  /** A request to stop: the holder of the claim, or any node when there is none, ends the task as cancelled. */
  cancelled: z.looseObject({ by: z.string(), at: z.number(), reason: z.string().optional() }).optional(),
});

export type Step = z.infer<typeof Step>;
export type Source = z.infer<typeof Source>;
export type SnapshotSource = z.infer<typeof SnapshotSource>;
export type GitSource = z.infer<typeof GitSource>;
export type TaskBody = z.infer<typeof TaskBody>;
export type TaskSpec = z.infer<typeof TaskSpec>;
export type TaskRecord = z.infer<typeof TaskRecord>;

export { DEFAULT_PRIORITY } from './ids.ts';
export const DEFAULT_TIMEOUT_MS = 3_600_000;
export const DEFAULT_ATTEMPTS = { crashed: 3, lost: 10 } as const;
