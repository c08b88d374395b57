import { type Command, Option } from 'commander';
import { defined } from '../../defined.ts';
import { MODES, PASSAGE, type SearchMode } from '../../query/request.ts';
import { addEngineOptions, type EngineCliOptions, openEngine } from '../engine.ts';
import { indexModelOption, plainOption, wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';
import { renderConditions, renderExplanation, renderNotices, renderWords } from '../render.ts';

export function registerExplain(program: Command): void {
  addEngineOptions(
    program
      .command('explain')
      .description('show token by token why a document has its score, or why it is not a hit')
      .argument('<query>', 'the query')
      .argument('<id>', 'the document')
      .requiredOption('--index <dir>', 'index folder, or name of an index of a cluster'),
  )
    .option(
      '--passage <n>',
      'explain this passage of the document instead of its best one',
      wholeNumber(PASSAGE.minimum, PASSAGE.maximum),
    )
    .addOption(new Option('--mode <mode>', 'bm25: by words; else by tokens (default)').choices(MODES))
    .addOption(plainOption())
    .addOption(indexModelOption())
    .option('--json', 'print one JSON object')
    .action(run);
}

interface ExplainCliOptions extends EngineCliOptions {
  readonly model?: string;
  readonly passage?: number;
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly mode?: SearchMode;
}

async function run(query: string, id: string, options: ExplainCliOptions): Promise<void> {
  const index = await openEngine(options, { readOnly: true, ...defined({ model: options.model }) });
  try {
    const explained = await index.explain(
      query,
      { id, ...defined({ passage: options.passage }) },
      { syntax: options.plain ? 'plain' : 'operators', ...defined({ mode: options.mode }) },
    );
    if (options.json) {
      console.log(JSON.stringify(explained));
      return;
    }
    const { passage, score, rank, tenthScore, tokens, omittedTokens = 0, words, conditions = [] } = explained;
    const name = `${printable(explained.id)}${passage === undefined ? '' : ` passage ${passage}`}`;
    const short = tenthScore === undefined ? 0 : tenthScore - score;
    const isExcluded = conditions.some(({ holds }) => !holds);
    for (const line of [...renderNotices(explained.notices), ...renderConditions(conditions)])
      console.log(line);
    console.log(
      rank === undefined
        ? `${name} ${isExcluded ? 'does not meet the conditions of the query' : score > 0 ? `has score ${score.toFixed(2)}; too many documents score better to determine its rank` : 'shares no token with the query'}`
        : `${name}: score ${score.toFixed(2)}, rank ${rank}${rank > 10 ? `, ${short.toFixed(2)} short of the tenth hit` : ''}`,
    );
    console.log(words ? renderWords(words) : renderExplanation(tokens, omittedTokens));
  } finally {
    await index.close();
  }
}
