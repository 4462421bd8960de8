/** WGSL of dynamic quantisation: one invocation. */
import { binary, cast, constant, type Expression, input, unary } from "../../../runtime/format/expression.ts";
import type { WgslKernel } from "../contract.ts";
import { emitWgslExpression } from "../expression/wgsl.ts";
import { WgslBody } from "../wgsl/body.ts";
import { storeElement } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";
import { dynamicQuantizeWords } from "./words.ts";

const clamped = (value: Expression): Expression =>
  binary("minimum", binary("maximum", value, constant(0)), constant(255));

export function dynamicQuantizeWgsl(): WgslKernel {
  const body = new WgslBody();
  const word = namedWords(body, dynamicQuantizeWords);
  const low = body.variable("0f");
  const high = body.variable("0f");
  const element = (index: string): string => body.let(body.call("loadFloat32", `${word("input")} + ${index} * 4u`));
  body.loop(word("elements"), (index) => {
    const x = element(index);
    body.statement(`${low} = ${body.call("minimumFloat", low, x)};`);
    body.statement(`${high} = ${body.call("maximumFloat", high, x)};`);
  });
  const scale = body.let(`select((${high} - ${low}) / 255f, 1f, ${low} == ${high})`);
  /** An expression over float32 values. */
  const compute = (expression: Expression, values: readonly string[]): string =>
    emitWgslExpression(
      {
        body,
        operands: values.map(() => "float32" as const),
        leaf: (leaf) => (leaf.kind === "input" ? (values[leaf.index] ?? "") : ""),
      },
      expression,
      `${values.join()} `,
    );
  const start = body.let(`0f - ${low} / ${scale}`);
  const zero = body.let(compute(unary("round", clamped(input(0))), [start]));
  storeElement(body, "float32", word("scale"), scale);
  storeElement(body, "uint8", word("zero"), compute(cast("uint8", input(0)), [zero]));
  body.loop(word("elements"), (index) => {
    const ratio = body.let(`${element(index)} / ${scale}`);
    const place = clamped(binary("add", unary("round", input(0)), input(1)));
    storeElement(body, "uint8", `${word("output")} + ${index}`, compute(cast("uint8", place), [ratio, zero]));
  });
  return body.end();
}
