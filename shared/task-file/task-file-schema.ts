import { z } from 'zod';
import { Step, TaskBody } from '../task.ts';

const Command = z.string().min(1).describe('A command or script.');

/** A step, or just its command. */
const StepEntry = z.union([Command, Step]);

/** What a task file says of one task: the key it stands under is its name. */
export const TaskEntry = z.looseObject({
  ...TaskBody.shape,
  name: TaskBody.shape.name.optional().describe('What people read, if it is not to be the key.'),
  steps: z.array(StepEntry).min(1).max(200).optional().describe(TaskBody.shape.steps.description!),
  run: Command.optional().describe('The only step, instead of steps.'),
});

/** `simple-ci.yaml` as people write it, for editors. `parseTaskFile` is what decides. */
export const TaskFile = z.looseObject({
  version: z.literal(1).optional().describe('The format of this file. May be left out.'),
  tasks: z
    .record(z.string(), z.union([Command, z.array(StepEntry).min(1).max(200), TaskEntry]))
    .describe('Tasks by the name one runs them with: each a command, a list of steps, or all that a task can say.'),
});
