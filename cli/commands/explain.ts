import type { Command } from 'commander';
import { openIndex } from '../../query/search-engine.ts';
import { defined, indexModelOption } from '../options.ts';
import { printable } from '../printable.ts';
import { renderExplanation } from '../render.ts';

export function registerExplain(program: Command): void {
  program
    .command('explain')
    .description('show token by token why a document has its score, or why it is not among the hits')
    .argument('<query>', 'the query')
    .argument('<id>', 'the document')
    .requiredOption('--index <dir>', 'index folder')
    .addOption(indexModelOption())
    .option('--json', 'print one JSON object')
    .action(run);
}

interface ExplainCliOptions {
  readonly index: string;
  readonly model?: string;
  readonly json?: boolean;
}

async function run(query: string, id: string, options: ExplainCliOptions): Promise<void> {
  const engine = openIndex(options.index, { readOnly: true, ...defined({ model: options.model }) });
  try {
    const explained = engine.explain(query, id);
    if (options.json) {
      console.log(JSON.stringify(explained));
      return;
    }
    const { id: rawId, score, rank, tenthScore, tokens } = explained;
    const explainedId = printable(rawId);
    const short = tenthScore === undefined ? 0 : tenthScore - score;
    console.log(
      rank === undefined
        ? `${explainedId} shares no token with the query`
        : `${explainedId}: score ${score.toFixed(2)}, rank ${rank}${rank > 10 ? `, ${short.toFixed(2)} short of the tenth hit` : ''}`,
    );
    console.log(renderExplanation(tokens));
  } finally {
    await engine.close();
  }
}
