/** Seeded inputs for models whose inputs the page cannot interpret. */
import { evaluateExtent, type SymbolBound } from "../runtime/format/extent.ts";
import { fillRandom } from "../runtime/format/random.ts";
import { tensorOf, zeros } from "../runtime/format/tensor.ts";
import type { PortDescription, Tensor } from "../runtime/index.ts";

/** Floats in [-1, 1), integers and bools 0 or 1, every symbol at its upper bound; equal seeds give equal inputs. */
export function randomInputs(
  ports: readonly PortDescription[],
  symbols: readonly SymbolBound[],
  seed: number,
): Readonly<Record<string, Tensor>> {
  const bindings = new Map(symbols.map(({ name, upper }) => [name, upper]));
  return Object.fromEntries(
    ports.map(({ name, dtype, shape }, index) => {
      const extents = shape.map((extent) => evaluateExtent(extent, bindings));
      const tensor = extents.length === 0 ? tensorOf(dtype, [], [0]) : zeros(dtype, extents);
      fillRandom(dtype, tensor.data, seed + index);
      return [name, tensor];
    }),
  );
}
