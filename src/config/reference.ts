import { COMPUTED } from './computed.ts';
import { expectation } from './expectation.ts';
import type { OptionNode } from './option.ts';
import { OPTIONS } from './schema.ts';

interface Row {
  readonly option: string;
  readonly type: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** Every option, as the Markdown table of `deploy/docs/configuration.md`. Made from the schema, so it cannot be out of date. */
export function configTable(): string {
  const rows = rowsOf(OPTIONS, '').map(
    ({ option, type, fallback, meaning }) => `| \`${option}\` | ${type} | ${fallback} | ${meaning} |`,
  );
  return ['| option | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function rowsOf(section: OptionNode, prefix: string): Row[] {
  return Object.entries(section.properties ?? {}).flatMap(([key, option]) => {
    const name = prefix === '' ? key : `${prefix}.${key}`;
    const required = section.required?.includes(key) === true;
    if (option.type === 'object')
      return [row(name, option, 'section', required ? '' : 'not given'), ...rowsOf(option, name)];
    if (option.type === 'array' && option.items?.type === 'object')
      return [
        row(`${name}[]`, option, 'list of sections', '**required**'),
        ...rowsOf(option.items, `${name}[]`),
      ];
    return [row(name, option, typeOf(option), defaultOf(option, required))];
  });
}

function row(option: string, node: OptionNode, type: string, fallback: string): Row {
  return { option, type: cell(type), fallback: cell(fallback), meaning: cell(node.description ?? '') };
}

function defaultOf(option: OptionNode, required: boolean): string {
  if (option.default !== undefined) {
    const { default: value } = option;
    return `\`${typeof value === 'string' ? value : JSON.stringify(value).replaceAll(',', ', ')}\``;
  }
  if (option.computed !== undefined) return COMPUTED[option.computed].label;
  return required ? '**required**' : 'not given';
}

function typeOf(option: OptionNode): string {
  if (option.enum !== undefined) return option.enum.map((value) => `\`${value}\``).join(', ');
  if (option.type === 'array') return `list: ${typeOf(option.items ?? {})}`;
  if (option.unit === 'path') return 'file name';
  if (option.unit === 'duration' || option.unit === 'size') {
    const { atLeast, atMost } = option;
    const range = [atLeast === undefined ? '' : `≥ ${atLeast}`, atMost === undefined ? '' : `≤ ${atMost}`];
    return `${option.unit} ${range.filter((part) => part !== '').join(', ')}`.trim();
  }
  if (option.type === 'boolean') return '`true`, `false`';
  if (option.type === 'integer') return `integer ${option.minimum}–${option.maximum}`;
  if (option.type === 'number') return `number ${option.minimum}–${option.maximum}`;
  return option.expects === undefined ? 'text' : expectation(option);
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
