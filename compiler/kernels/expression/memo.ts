/** Common subexpressions of one emitted body: each is computed once, into a local that lives as long as the enclosing block. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, ValueType } from "../../assemble/expression.ts";

/** JSON knows no infinities, NaN or -0, which are different constants. */
const exactNumber = (_: string, value: unknown): unknown =>
  typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))
    ? `${1 / value < 0 ? "-" : ""}${value}`
    : value;

/** Structural identity of an expression, or of plain data with expressions in it. */
export const keyOf = (value: object): string => JSON.stringify(value, exactNumber);

export class Memo {
  readonly #body: BodyBuilder;
  readonly #known = new Map<string, Code<ValueType>>();

  constructor(body: BodyBuilder) {
    this.#body = body;
  }

  /** The value of `compute()` under `key`, evaluated at most once. */
  once<T extends ValueType>(key: string, compute: () => Code<T>): Code<T> {
    const known = this.#known.get(key);
    if (known) return known as Code<T>;
    const value = compute();
    const held = value.constant === undefined ? this.#body.local(value.type, value) : value;
    this.#known.set(key, held);
    return held;
  }
}
