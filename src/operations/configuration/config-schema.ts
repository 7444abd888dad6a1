/** The shape of holdfast.yaml for editors, with the settings of everything this program knows. */
import { z } from 'zod';
import { configJsonSchema, type Known } from '../../config/index.ts';
import { operation } from '../operation.ts';

const input = z.object({});
const output = z.looseObject({ $schema: z.string() });

export const configSchema = operation({
  name: 'validate --schema',
  permission: 'viewer',
  input,
  output,
  run: async (_: z.infer<typeof input>, uses: Known): Promise<z.infer<typeof output>> => ({
    ...configJsonSchema(uses),
    $schema: 'https://json-schema.org/draft/2020-12/schema',
  }),
});
