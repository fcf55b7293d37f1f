// Writes the JSON Schemas of docs/schemas/, for editors and other programs, from the schemas that the program itself uses.
// `node scripts/schemas.ts` writes them, `node scripts/schemas.ts --check` tells whether they are up to date.
import { z } from 'zod';
import { TaskFile } from '../shared/task-file.ts';
import { TaskResult } from '../shared/result.ts';
import { TaskSpec } from '../shared/task.ts';
import { formatJson } from './format-json.ts';
import { type GeneratedFiles, writeGenerated } from './write-generated.ts';

interface Published {
  readonly schema: z.ZodType;
  readonly title: string;
  readonly description: string;
  /** Whether people write it, or read it. */
  readonly io: 'input' | 'output';
}

const PUBLISHED: Readonly<Record<string, Published>> = {
  task: {
    schema: TaskSpec,
    title: 'Simple CI: task.json',
    description: 'A task as it is submitted. Fields that are not listed here are kept and have no effect.',
    io: 'input',
  },
  'simple-ci': {
    schema: TaskFile,
    title: 'Simple CI: simple-ci.yaml',
    description: 'The tasks of a workspace.',
    io: 'input',
  },
  result: {
    schema: TaskResult,
    title: 'Simple CI: result.json',
    description: 'How a task ended. Times are in milliseconds since 1970, sizes in bytes.',
    io: 'output',
  },
};

export function schemaFiles(): GeneratedFiles {
  return new Map(
    Object.entries(PUBLISHED).map(([name, published]) => [`docs/schemas/${name}.schema.json`, schemaText(published)]),
  );
}

/** Draft 7 is what the editors in use understand best. */
function schemaText({ schema, title, description, io }: Published): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io, override: leaveOutNoise });
  return formatJson({ $schema, title, description, ...rest });
}

/** `additionalProperties: {}` allows what is allowed anyway. */
function leaveOutNoise({ jsonSchema }: { jsonSchema: { additionalProperties?: unknown } }): void {
  const { additionalProperties } = jsonSchema;
  if (JSON.stringify(additionalProperties) === '{}') delete jsonSchema.additionalProperties;
}

if (import.meta.main) await writeGenerated(schemaFiles(), process.argv);
