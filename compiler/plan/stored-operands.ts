/** Nests over constants that are not float32 where they lie: the conversion, and the coordinates of packed ones, join the body. */
import { binary, cast, type Expression, input, load, mapExpression } from "../../runtime/format/expression.ts";
import type { View } from "../kernels/contract.ts";
import { indexExpression } from "../loop/index-expression.ts";
import type { LoopNest, LoopOperand } from "../loop/loop.ts";
import type { PackedConstant, StoredConstant } from "./weights.ts";

/** `sources[k]` is operand k of the nest: a view of the type that the nest reads, or a constant in another form. */
export function readStored(
  nest: LoopNest,
  sources: readonly (View | StoredConstant | PackedConstant)[],
): { readonly nest: LoopNest; readonly views: readonly View[] } {
  const views: View[] = [];
  const loopOperands: LoopOperand[] = [...nest.operands];
  const parameters = [...nest.parameters];
  /** Further operands, behind those of the nest. */
  const more: View[] = [];
  const addOperand = (view: View, access: LoopOperand["access"]): number => {
    loopOperands.push({ dtype: view.dtype, access });
    return nest.operands.length + more.push(view) - 1;
  };
  const convert = new Map<number, (value: Expression, at: readonly Expression[] | undefined) => Expression>();
  sources.forEach((source, index) => {
    const access = nest.operands[index]?.access ?? "indexed";
    if (!("kind" in source)) {
      views.push(source);
      return;
    }
    if (source.kind === "packed") {
      const { reading } = source;
      const [first, ...others] = reading.views as readonly [View, ...View[]];
      views.push(first);
      loopOperands[index] = { dtype: first.dtype, access: "indexed" };
      const numbers = [index, ...others.map((view) => addOperand(view, "indexed"))];
      const affine = access === "indexed" ? [] : access.map((place) => indexExpression(place, parameters));
      convert.set(index, (_, at) => reading.value(at ?? affine, (view, place) => load(numbers[view] as number, place)));
      return;
    }
    const { view, scales, axis } = source;
    views.push(view);
    loopOperands[index] = { dtype: view.dtype, access };
    if (!scales) {
      convert.set(index, (value) => cast("float32", value));
      return;
    }
    const scaleIndex = addOperand(scales, access === "indexed" ? "indexed" : [access[axis] as (typeof access)[number]]);
    convert.set(index, (value, at) =>
      binary("multiply", cast("float32", value), at ? load(scaleIndex, [at[axis] as Expression]) : input(scaleIndex)),
    );
  });
  if (convert.size === 0) return { nest, views };
  const body = mapExpression(nest.body, (expression) => {
    if (expression.kind === "input") return convert.get(expression.index)?.(expression, undefined) ?? expression;
    if (expression.kind === "load") return convert.get(expression.operand)?.(expression, expression.at) ?? expression;
    return expression;
  });
  return { nest: { ...nest, operands: loopOperands, parameters, body }, views: [...views, ...more] };
}
