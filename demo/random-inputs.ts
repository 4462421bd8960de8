/** Seeded inputs for models whose inputs the page cannot interpret. */
import { evaluateExtent, type SymbolBound } from "../runtime/format/extent.ts";
import { acceptableInput } from "../runtime/format/port-value.ts";
import type { PortDescription, Tensor } from "../runtime/index.ts";

/** Floats in [-1, 1), integers and bools 0 or 1, every symbol at its upper bound; equal seeds give equal inputs. */
export function randomInputs(
  ports: readonly PortDescription[],
  symbols: readonly SymbolBound[],
  seed: number,
): Readonly<Record<string, Tensor>> {
  const bindings = new Map(symbols.map(({ name, upper }) => [name, upper]));
  return Object.fromEntries(
    ports.map((port, index) => {
      const extents = port.shape.map((extent) => evaluateExtent(extent, bindings));
      return [port.name, acceptableInput(port, extents, seed + index)];
    }),
  );
}
