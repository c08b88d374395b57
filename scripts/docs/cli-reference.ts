import type { Command } from 'commander';
import { createProgram } from '../../cli/program.ts';

const INTRODUCTION = `# Command line

Generated from the help of the commands (\`npm run generate:docs\`); do not edit. In a checkout, \`npm run winnow -- COMMAND\` runs them.

Exit codes: 0 for success, 1 for an error or when rows were skipped, 130 when interrupted. Errors are one line on standard error: code, place,
message and the way out ([errors.md](errors.md)). With \`--json\`, standard output has one JSON object.
`;

/** The page docs/cli.md. */
export async function cliReference(): Promise<string> {
  const program = await createProgram();
  return [INTRODUCTION, ...program.commands.flatMap((command) => sections(command))].join('\n');
}

function sections(command: Command, parent = 'winnow'): string[] {
  const name = `${parent} ${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((inner) => sections(inner, name));
  // The help of a real terminal depends on its width.
  const help = command.configureHelp({ helpWidth: 110 }).helpInformation();
  return [`## ${name}\n\n\`\`\`\n${help.trim()}\n\`\`\`\n`];
}
