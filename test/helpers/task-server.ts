// Child process: opens the data folder given with a task that never ends by itself, says when it runs, and waits to be killed.
import { SearchService } from '../../app/service/search-service.ts';

const service = SearchService.openFolder(process.argv[2]!, {
  evaluate: async (_backend, _request, { progress }) => {
    progress({ done: 1, total: 10, unit: 'steps' });
    process.stdout.write('running\n');
    setInterval(() => {}, 1000);
    return new Promise(() => {});
  },
});
if (service.tasks.length === 0) service.addTask('books', { type: 'evaluate', path: '.' });
