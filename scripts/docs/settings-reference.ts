import { flagsOf, SETTINGS, type Setting, variableOf } from '../../cli/serve/settings-table.ts';

const INTRODUCTION = `# Settings of the server

Generated from \`cli/serve/settings-table.ts\` (\`npm run generate:docs\`); do not edit.

Each setting of \`winnow serve\` can be a flag, an environment variable, or a line of the YAML file that \`--config FILE\` or \`WINNOW_CONFIG\`
names. Flags overrule variables, variables overrule the file. A name that does not exist, or a value that is not allowed, is an error
(\`WINNOW_BAD_ARGUMENT\`) that names its place and the most similar name. Lists are repeated values of a flag, a variable with commas, or a
list in YAML. Keys, which are secrets, are no settings: see [operations.md](operations.md#keys).

\`\`\`yaml
# winnow.yaml
index: /var/lib/winnow
host: 0.0.0.0
allowHost: [search.example]
log: info
\`\`\`

| flag | variable | in the file | default | |
|---|---|---|---|---|
`;

/** The page docs/settings.md. */
export const settingsReference = (): string => `${INTRODUCTION}${SETTINGS.map(rowOf).join('\n')}\n`;

function rowOf(setting: Setting): string {
  const { name, description, choices, default: value } = setting;
  const flags = `\`${flagsOf(setting)}\``;
  const allowed = choices ? ` (${choices.join(', ')})` : '';
  const preset = value === undefined ? '' : `\`${value}\``;
  return `| ${flags} | \`${variableOf(setting)}\` | \`${name}\` | ${preset} | ${description}${allowed} |`;
}
