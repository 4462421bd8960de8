/** Dynamic quantisation as its problem defines it, in double precision rounded where float32 is. */
import type { Tensor } from "../../runtime/format/tensor.ts";
import { numbersOf, tensorOfNumbers } from "../../runtime/reference/numbers.ts";

const f = Math.fround;

function halfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

const toByte = (value: number): number => Math.min(255, Math.max(0, value));

/** Elements, scale and zero point. */
export function executeDynamicQuantize(x: Tensor): readonly [Tensor, Tensor, Tensor] {
  const values = Array.from(numbersOf(x));
  const [low, high] = [values.reduce((a, b) => Math.min(a, b), 0), values.reduce((a, b) => Math.max(a, b), 0)];
  const scale = low === high ? 1 : f(f(high - low) / 255);
  const zero = halfToEven(toByte(f(-f(low / scale))));
  const bytes = values.map((value) => toByte(halfToEven(f(value / scale)) + zero));
  return [
    tensorOfNumbers("uint8", x.shape, Float64Array.from(bytes)),
    tensorOfNumbers("float32", [], Float64Array.of(scale)),
    tensorOfNumbers("uint8", [], Float64Array.of(zero)),
  ];
}
