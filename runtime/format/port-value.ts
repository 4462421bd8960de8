/** The elements of an input: those that its port fixes, else generated ones, for known answers and benchmarks. */
import type { PortDescription } from "./manifest.ts";
import { fillRandom } from "./random.ts";
import { allocate, elementCount, type Tensor, tensorOf } from "./tensor.ts";

/** A tensor of `shape` that the port accepts: its fixed value, else from the generator of random.ts. */
export function acceptableInput(port: PortDescription, shape: readonly number[], seed: number): Tensor {
  if (port.value !== undefined) return tensorOf(port.dtype, shape, port.value);
  const data = allocate(port.dtype, elementCount(shape));
  fillRandom(port.dtype, data, seed);
  return { dtype: port.dtype, shape, data };
}
