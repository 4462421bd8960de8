/**
 * A convolution over the phases of an image (Slices with steps and different offsets, joined along channels: "focus",
 * "space to depth") is a convolution of the image itself with a larger kernel and stride. Valid because each weight
 * meets the same pixel as before, and padding by one phase pixel is padding by a block of zeros. As many products,
 * and the copies are gone.
 */
import { zeros } from "../../runtime/format/tensor.ts";
import { integerOf, integersAttribute, integersOf } from "../graph/attribute.ts";
import { moduloDims } from "../graph/dimension.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { resolveWindow, weightKernelOf } from "../ops/contraction/window.ts";
import { operatorContext } from "../ops/infer.ts";
import { parameterOf } from "./parameter.ts";
import { rewritePass } from "./pass.ts";

export const foldFocus = rewritePass(
  "fold-focus",
  "an image cut into phases is convolved in one piece",
  (node, context) => {
    const [x, weights, bias] = node.inputs;
    const join = x && context.producer(x);
    const tensor = weights && context.constant(weights);
    if (
      node.op !== "Conv" ||
      join?.op !== "Concat" ||
      !tensor ||
      tensor.dtype !== "float32" ||
      tensor.shape.length !== 4
    )
      return undefined;
    if (
      integerOf(node, "group", 1) !== 1 ||
      integerOf(join, "axis", 1) !== 1 ||
      (integersOf(node, "dilations") ?? []).some((dilation) => dilation !== 1)
    )
      return undefined;
    const phases = join.inputs.map((value) => phaseOf(value as Value, context));
    const image = phases[0]?.image;
    const steps = phases[0]?.steps;
    if (!image || !steps || phases.some((phase) => phase?.image !== image || phase.steps.join() !== steps.join()))
      return undefined;
    if (new Set(phases.map((phase) => phase?.offsets.join())).size !== phases.length) return undefined;
    // Only whole blocks: a phase of another length would shift its pixels.
    const [, channels, height, width] = image.type.shape;
    if (
      typeof channels !== "number" ||
      moduloDims(height ?? 1, steps[0]) !== 0 ||
      moduloDims(width ?? 1, steps[1]) !== 0
    )
      return undefined;
    const operator = operatorContext(node, context);
    const axes = resolveWindow(operator, (x as Value).type.shape.slice(2), weightKernelOf(operator));
    const pads = [...axes.map(({ padBefore }) => padBefore), ...axes.map(({ padAfter }) => padAfter)];
    if (!pads.every((pad) => typeof pad === "number")) return undefined;

    const [outputs = 0, , rows = 0, columns = 0] = tensor.shape;
    const larger = zeros("float32", [outputs, channels, rows * steps[0], columns * steps[1]]);
    let source = 0;
    for (let output = 0; output < outputs; output++)
      for (const phase of phases)
        for (let channel = 0; channel < channels; channel++)
          for (let row = 0; row < rows; row++)
            for (let column = 0; column < columns; column++) {
              const [top, left] = (phase as Phase).offsets;
              const place =
                ((output * channels + channel) * rows * steps[0] + row * steps[0] + top) * columns * steps[1] +
                column * steps[1] +
                left;
              larger.data[place] = tensor.data[source++] as number;
            }
    const { auto_pad: _, kernel_shape: __, dilations: ___, ...attributes } = node.attributes;
    return context.emit(
      "Conv",
      [image, context.addConstant(weights.name, larger), bias],
      {
        ...attributes,
        strides: integersAttribute(axes.map(({ stride }, axis) => stride * (steps[axis] as number))),
        pads: integersAttribute(pads.map((pad, index) => pad * (steps[index % 2] as number))),
      },
      { version: 11 },
    );
  },
);

interface Phase {
  readonly image: Value;
  readonly steps: readonly [number, number];
  readonly offsets: readonly [number, number];
}

/** `value` as every steps-th pixel of an image, from an offset within the block to the end. */
function phaseOf(value: Value, context: RewriteContext): Phase | undefined {
  const node: Node | undefined = context.producer(value);
  const image = node?.op === "Slice" ? node.inputs[0] : undefined;
  if (!node || !image || image.type.shape.length !== 4) return undefined;
  const [starts, ends, axes, steps] = (["starts", "ends", "axes", "steps"] as const).map((name, index) =>
    parameterOf(node, name, index + 1, context),
  );
  if (
    !Array.isArray(starts) ||
    !Array.isArray(ends) ||
    !Array.isArray(axes) ||
    !Array.isArray(steps) ||
    axes.join() !== "2,3"
  )
    return undefined;
  const extents = image.type.shape.slice(2);
  const toTheEnd = ends.every(
    (end: number, axis) => end >= (typeof extents[axis] === "number" ? extents[axis] : 2 ** 31 - 1),
  );
  if (!toTheEnd || starts.some((start: number, axis) => start < 0 || start >= (steps[axis] as number)))
    return undefined;
  return {
    image,
    steps: [steps[0] as number, steps[1] as number],
    offsets: [starts[0] as number, starts[1] as number],
  };
}
