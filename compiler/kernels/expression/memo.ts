/** Common subexpressions of one emitted body: each is computed once, into a local that lives as long as the enclosing block. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, ValueType } from "../../assemble/expression.ts";

/** Structural identity of an expression. */
export const keyOf = (expression: Expression): string => JSON.stringify(expression);

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
