/** MaxUnpool: puts every element at its index (as MaxPool's Indices gives them) into zeros of the unpooled shape. */
import { elementCount, zeros } from "../format/tensor.ts";
import { inputOf, integersOf, listOf, refuse } from "./call.ts";
import type { Reference } from "./reference.ts";

export const maxUnpool: Reference = (call) => {
  const x = inputOf(call, 0);
  const indices = inputOf(call, 1);
  const kernel = listOf(call, "kernel_shape") ?? refuse("attribute kernel_shape is missing");
  const rank = kernel.length;
  const strides = listOf(call, "strides") ?? [];
  const pads = listOf(call, "pads") ?? [];
  const natural = [
    ...x.shape.slice(0, 2),
    ...kernel.map(
      (size, axis) =>
        (x.shape[axis + 2]! - 1) * (strides[axis] ?? 1) + size - (pads[axis] ?? 0) - (pads[axis + rank] ?? 0),
    ),
  ];
  const shape = integersOf(call, "output_shape", 2) ?? natural;
  const result = zeros(x.dtype, shape);
  const [naturalPlane, plane] = [elementCount(natural.slice(2)), elementCount(shape.slice(2))];
  for (let i = 0; i < x.data.length; i++) {
    let rest = Number(indices.data[i]);
    const channel = Math.floor(rest / naturalPlane);
    rest %= naturalPlane;
    // Indices count in the natural shape; a larger output_shape moves the rows apart.
    let at = 0;
    let scale = 1;
    for (let axis = shape.length - 1; axis >= 2; axis--) {
      at += (rest % natural[axis]!) * scale;
      rest = Math.floor(rest / natural[axis]!);
      scale *= shape[axis]!;
    }
    result.data[channel * plane + at] = x.data[i] as never;
  }
  return [result];
};
