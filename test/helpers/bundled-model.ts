import { openModel } from '../../encoder/model.ts';
import { decodeManifest, encodeManifest } from '../../indexer/format/manifest.ts';
import { openStorage } from '../../indexer/store/storage.ts';

/**
 * Makes an index in the newest format take the bundled model of now for its own. Fixtures were made by bundled models of then; what is
 * tested with them does not depend on weights.
 */
export async function asOfBundledModel(index: string): Promise<void> {
  const storage = openStorage(index, { create: false, readOnly: false });
  const { settings, ...manifest } = decodeManifest(storage.manifest.get('current')!, index);
  const { hash: modelHash } = openModel();
  storage.root.transactionSync(() => {
    const now = encodeManifest({ ...manifest, settings: { ...settings, modelHash } });
    storage.manifest.put('current', Buffer.from(now));
  });
  await storage.root.close();
}
