import fc from 'fast-check';

/** Runs a property and, when it fails, says with which seed to run it again (`FC_SEED=...`). */
export async function check<T extends [unknown, ...unknown[]]>(
  property: fc.IRawProperty<T>,
  parameters: fc.Parameters<T> = {},
): Promise<void> {
  const seed = process.env.FC_SEED ? Number(process.env.FC_SEED) : Date.now() & 0x7fffffff;
  await fc.assert(property, { seed, numRuns: 60, ...parameters });
}
