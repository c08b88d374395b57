import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { CONTRACT_FIELDS, contractSuite } from './contract.ts';

const test = contractSuite('the embedded backend', async () =>
  openEmbedded(tempFolder(), { create: true, threads: 0, filterFields: CONTRACT_FIELDS }),
);

test.run();
