import type { Command } from 'commander';
import { openIndex } from '../../query/search-engine.ts';
import { defined, indexModelOption, wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';
import { renderExplanation } from '../render.ts';

export function registerExplain(program: Command): void {
  program
    .command('explain')
    .description('show token by token why a document has its score, or why it is not among the hits')
    .argument('<query>', 'the query')
    .argument('<id>', 'the document')
    .requiredOption('--index <dir>', 'index folder')
    .option('--passage <n>', 'this passage of the document instead of its best', wholeNumber(0, 999_999_999))
    .addOption(indexModelOption())
    .option('--json', 'print one JSON object')
    .action(run);
}

interface ExplainCliOptions {
  readonly index: string;
  readonly model?: string;
  readonly passage?: number;
  readonly json?: boolean;
}

async function run(query: string, id: string, options: ExplainCliOptions): Promise<void> {
  const engine = openIndex(options.index, { readOnly: true, ...defined({ model: options.model }) });
  try {
    const explained = engine.explain(query, { id, ...defined({ passage: options.passage }) });
    if (options.json) {
      console.log(JSON.stringify(explained));
      return;
    }
    const { passage, score, rank, tenthScore, tokens } = explained;
    const name = `${printable(explained.id)}${passage === undefined ? '' : ` passage ${passage}`}`;
    const short = tenthScore === undefined ? 0 : tenthScore - score;
    console.log(
      rank === undefined
        ? `${name} shares no token with the query`
        : `${name}: score ${score.toFixed(2)}, rank ${rank}${rank > 10 ? `, ${short.toFixed(2)} short of the tenth hit` : ''}`,
    );
    console.log(renderExplanation(tokens));
  } finally {
    await engine.close();
  }
}
