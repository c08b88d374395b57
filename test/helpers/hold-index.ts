// Child process: opens the index in the folder given, says so, and keeps it open until it is killed.
import { IndexStore } from '../../indexer/index-store.ts';

const store = IndexStore.open(process.argv[2]!, { readOnly: true });
process.stdout.write(`${store.stats().documents}\n`);
setInterval(() => store.view(), 50);
