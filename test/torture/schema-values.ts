import { ODD_NUMBERS, ODD_STRINGS } from './odd-values.ts';

/** The keywords of JSON Schema that the API uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
}

/** Draws values: what a schema allows, and what it does not. */
export class SchemaValues {
  readonly random: () => number;
  /** Values that mean something to the server, by name of a property or parameter. */
  private readonly known: Readonly<Record<string, () => unknown>>;

  constructor(random: () => number, known: Readonly<Record<string, () => unknown>>) {
    this.random = random;
    this.known = known;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** Any JSON; objects and lists get rarer with depth. */
  any(depth = 0): unknown {
    const draw = this.below(depth > 3 ? 5 : 7);
    if (draw === 0) return null;
    if (draw === 1) return this.chance(0.5);
    if (draw === 2) return this.pick(ODD_NUMBERS);
    if (draw <= 4) return this.pick(ODD_STRINGS);
    if (draw === 5) return Array.from({ length: this.below(4) }, () => this.any(depth + 1));
    return Object.fromEntries(
      Array.from({ length: this.below(4) }, () => [this.pick(ODD_STRINGS), this.any(depth + 1)]),
    );
  }

  /**
   * Mostly what the schema allows.
   *
   * @param oddity probability of another value, of each part
   */
  of(schema: JsonSchema, name: string, oddity: number): unknown {
    if (this.chance(oddity)) return this.any();
    if (Object.hasOwn(this.known, name) && this.chance(0.9)) return this.known[name]!();
    if (schema.anyOf) return this.of(this.pick(schema.anyOf), name, oddity);
    if (schema.enum) return this.pick(schema.enum);
    const type = typeof schema.type === 'object' ? this.pick(schema.type) : schema.type;
    switch (type) {
      case 'string':
        return this.chance(0.3) ? this.pick(ODD_STRINGS) : `v${this.below(20)}`;
      case 'integer':
      case 'number':
        return this.number(schema, type === 'integer');
      case 'boolean':
        return this.chance(0.5);
      case 'null':
        return null;
      case 'array': {
        const { minItems = 0, maxItems = 5, items = {} } = schema;
        const length = Math.min(maxItems, minItems + this.below(4));
        return Array.from({ length }, () => this.of(items, name, oddity));
      }
      case 'object':
        return this.object(schema, oddity);
      default:
        return this.any();
    }
  }

  private number(schema: JsonSchema, isWhole: boolean): number {
    const { minimum = schema.exclusiveMinimum ?? -10, maximum = minimum + 1000 } = schema;
    if (this.chance(0.1)) return this.pick([minimum, maximum, minimum - 1, maximum + 1]);
    const value = minimum + this.random() * Math.min(50, maximum - minimum);
    return isWhole ? Math.round(value) : value;
  }

  private object(
    { properties = {}, required = [], additionalProperties }: JsonSchema,
    oddity: number,
  ): unknown {
    const object: Record<string, unknown> = {};
    // Some two of many options: most of all of them contradict each other.
    const names = Object.keys(properties).length;
    const share = names > 8 ? 2 / names : 0.7;
    for (const [name, schema] of Object.entries(properties)) {
      const isUsual = required.includes(name) || name === 'query';
      const isLeftOut = isUsual ? this.chance(oddity) : !this.chance(share);
      if (!isLeftOut) object[name] = this.of(schema, name, oddity);
    }
    if (this.chance(additionalProperties === false ? oddity : 0.5))
      object[this.pick(ODD_STRINGS)] = this.any();
    return object;
  }
}
