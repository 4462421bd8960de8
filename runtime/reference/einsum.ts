/** Einsum: sums of products by the letters of an equation; "..." stands for broadcast leading axes. */
import { isBigInteger } from "../format/dtype.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { inputOf, refuse, textOf } from "./call.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import type { Reference } from "./reference.ts";
import { binaryFunction } from "./scalar.ts";

/** Labels of the axes of every operand and of the result; broadcast axes are "0", "1", … counted from the last. */
interface Equation {
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
}

function parse(text: string, ranks: readonly number[]): Equation {
  const [left = "", right] = text.replaceAll(/\s/g, "").split("->");
  const terms = left.split(",");
  if (terms.length !== ranks.length)
    refuse("the equation has the wrong number of operands", String(ranks.length), String(terms.length));
  let broadcast = 0;
  const label = (term: string, count: number): string[] => {
    const [before = "", after] = term.split("...");
    if (after === undefined) return [...before];
    return [...before, ...Array.from({ length: count }, (_, i) => String(count - 1 - i)), ...after];
  };
  const operands = terms.map((term, index) => {
    const letters = term.replace("...", "").length;
    const count = term.includes("...") ? ranks[index]! - letters : 0;
    broadcast = Math.max(broadcast, count);
    const labels = label(term, count);
    if (labels.length !== ranks[index]) refuse("a term of the equation has the wrong rank", String(ranks[index]), term);
    return labels;
  });
  if (right !== undefined) return { operands, result: label(right, broadcast) };
  const all = operands.flat();
  const once = all.filter((one) => /[a-z]/i.test(one) && all.indexOf(one) === all.lastIndexOf(one)).sort();
  return { operands, result: [...label("...", broadcast), ...once] };
}

export const einsum: Reference = (call) => {
  const inputs = call.inputs.map((_, index) => inputOf(call, index));
  const { operands, result } = parse(
    textOf(call, "equation", ""),
    inputs.map(({ shape }) => shape.length),
  );
  const extents = new Map<string, number>();
  operands.forEach((labels, operand) => {
    labels.forEach((one, axis) => {
      const extent = inputs[operand]!.shape[axis]!;
      const known = extents.get(one) ?? 1;
      if (known !== 1 && extent !== 1 && known !== extent)
        refuse(`letter ${one} has two extents`, String(known), String(extent));
      extents.set(one, Math.max(known, extent));
    });
  });
  // Every point of all letters, those of the result outermost.
  const order = [...new Set([...result, ...extents.keys()])];
  const shape = order.map((one) => extents.get(one) ?? 1);
  const output = result.map((one) => extents.get(one) ?? 1);
  const summed = elementCount(shape) / Math.max(1, elementCount(output));
  const dtype = inputs[0]!.dtype;
  const tensor = zeros(dtype, output);
  const write = writerOf(tensor);
  // Floats accumulate in float64, integers in their own type.
  const working = /int/.test(dtype) ? dtype : "float64";
  const [add, multiply] = [binaryFunction("add", working), binaryFunction("multiply", working)];
  const reads = inputs.map((input, operand) => pointReader(input, operands[operand]!, order));
  const point = new Array<number>(order.length).fill(0);
  for (let cell = 0; cell < elementCount(output); cell++) {
    let sum: Scalar = isBigInteger(dtype) ? 0n : 0;
    for (let k = 0; k < summed; k++) {
      let rest = cell * summed + k;
      for (let axis = order.length - 1; axis >= 0; axis--) {
        point[axis] = rest % shape[axis]!;
        rest = Math.floor(rest / shape[axis]!);
      }
      sum = add(sum, reads.map((read) => read(point)).reduce(multiply));
    }
    write(cell, sum);
  }
  return [tensor];
};

/** Reads an operand at a point of all letters; an extent of 1 repeats. */
function pointReader(
  input: Tensor,
  labels: readonly string[],
  order: readonly string[],
): (point: readonly number[]) => Scalar {
  const read = readerOf(input);
  const axes = labels.map((one) => order.indexOf(one));
  return (point) =>
    read(axes.reduce((flat, axis, own) => flat * input.shape[own]! + (input.shape[own] === 1 ? 0 : point[axis]!), 0));
}
