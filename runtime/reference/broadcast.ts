/**
 * Broadcasting by the numpy rules: shapes are aligned at their last axis; an extent of 1 or a missing axis repeats.
 */

/** The shape that all of `shapes` broadcast to. Throws RangeError when two extents differ and neither is 1. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let extent = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own === 1 || own === extent) continue;
      if (extent !== 1)
        throw new RangeError(`shapes ${shapes.map((s) => `[${s.join(",")}]`).join(" and ")} do not broadcast`);
      extent = own;
    }
    return extent;
  });
}

/** Maps the flat index of an element of shape `output` to that of the element of shape `shape` which is repeated there. */
export function broadcastIndex(shape: readonly number[], output: readonly number[]): (flat: number) => number {
  const offset = output.length - shape.length;
  const matches = (axis: number): boolean => (shape[axis] as number) === output[axis + offset];
  // A suffix of the output's shape repeats as a whole; leading ones do not matter.
  const first = shape.findIndex((extent) => extent !== 1);
  if (first < 0) return () => 0;
  if (shape.every((_, axis) => axis < first || matches(axis))) {
    const period = shape.reduce((product, extent) => product * extent, 1);
    const total = output.reduce((product, extent) => product * extent, 1);
    return period === total ? (flat) => flat : (flat) => flat % period;
  }
  const strides: number[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis] as number;
    strides[axis] = extent === 1 ? 0 : stride;
    stride *= extent;
  }
  return (flat) => {
    let index = 0;
    let rest = flat;
    for (let axis = shape.length - 1; axis >= first; axis--) {
      const extent = output[axis + offset] as number;
      const quotient = Math.floor(rest / extent);
      index += (rest - quotient * extent) * (strides[axis] as number);
      rest = quotient;
    }
    return index;
  };
}
