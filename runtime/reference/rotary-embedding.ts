/**
 * Rotary position embedding: pairs of elements of the last axis turned by an angle, (a, b) -> (a*cos - b*sin, b*cos + a*sin).
 * A pair is elements i and i + D/2, or 2i and 2i + 1 when `interleaved`.
 */
import type { Tensor } from "../format/tensor.ts";
import { broadcastIndex } from "./broadcast.ts";
import { inputOf, numberOf, refuse } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

/** Positions of the elements of pair `pair` within a row of `width` elements. */
const pairAt = (pair: number, width: number, interleaved: boolean): readonly [number, number] =>
  interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + width / 2];

/** x: [..., D]; cos and sin broadcast to its leading axes, their last axis is D, or D/2 for one angle a pair. */
export const leafcutterRotaryEmbedding: Reference = (call) => {
  const x = inputOf(call, 0);
  const width = x.shape[x.shape.length - 1] ?? 0;
  const tables = [inputOf(call, 1), inputOf(call, 2)].map((table) => {
    const own = table.shape[table.shape.length - 1] ?? 0;
    if (own !== width && own !== width / 2) refuse("a table has the wrong last extent", `${width}`, `${own}`);
    const row = broadcastIndex(table.shape.slice(0, -1), x.shape.slice(0, -1));
    const values = numbersOf(table);
    return (flatRow: number, at: number, pair: number): number =>
      values[row(flatRow) * own + (own === width ? at : pair)] as number;
  });
  const [cos, sin] = tables as [(typeof tables)[number], (typeof tables)[number]];
  const interleaved = numberOf(call, "interleaved", 0) !== 0;
  const values = numbersOf(x);
  const result = new Float64Array(values.length);
  for (let row = 0; row * width < values.length; row++)
    for (let pair = 0; pair < width / 2; pair++) {
      const [a, b] = pairAt(pair, width, interleaved);
      const [left, right] = [values[row * width + a] as number, values[row * width + b] as number];
      result[row * width + a] = left * cos(row, a, pair) - right * sin(row, a, pair);
      result[row * width + b] = right * cos(row, b, pair) + left * sin(row, b, pair);
    }
  return [tensorOfNumbers(x.dtype, x.shape, result)];
};

export interface RotaryForm {
  /** [batch, sequence, heads, width] or, when `headsFirst`, [batch, heads, sequence, width]: what input 0 is read as. */
  readonly shape: readonly [number, number, number, number];
  readonly headsFirst: boolean;
  /** How many leading elements of a row are turned. */
  readonly turned: number;
  readonly interleaved: boolean;
}

/** x turned by the angles of rows of the tables [positions, turned/2]; `positionOf` names the row for a batch and a sequence index. */
export function rotated(
  x: Tensor,
  cosTable: Tensor,
  sinTable: Tensor,
  form: RotaryForm,
  positionOf: (batch: number, index: number) => number,
): Tensor {
  const [batch, first, second, width] = form.shape;
  const half = form.turned / 2;
  const [cos, sin, values] = [numbersOf(cosTable), numbersOf(sinTable), numbersOf(x)];
  const result = Float64Array.from(values);
  const rows = cos.length / half;
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < first; i++)
      for (let j = 0; j < second; j++) {
        const position = positionOf(b, form.headsFirst ? j : i);
        if (!(position >= 0 && position < rows))
          refuse("a position is outside the tables", `0..${rows - 1}`, `${position}`);
        const base = ((b * first + i) * second + j) * width;
        for (let pair = 0; pair < half; pair++) {
          const [p, q] = pairAt(pair, form.turned, form.interleaved);
          const [c, s] = [cos[position * half + pair] as number, sin[position * half + pair] as number];
          const [left, right] = [values[base + p] as number, values[base + q] as number];
          result[base + p] = left * c - right * s;
          result[base + q] = right * c + left * s;
        }
      }
  return tensorOfNumbers(x.dtype, x.shape, result);
}

/** Rank 4 is [batch, heads, sequence, width]; rank 3 [batch, sequence, heads * width]. */
function formOf(call: ReferenceCall, tableWidth: number): RotaryForm {
  const { shape } = inputOf(call, 0);
  const [batch = 1, first = 1, second = 1, last = 1] = shape;
  const turned = numberOf(call, "rotary_embedding_dim", 0);
  const interleaved = numberOf(call, "interleaved", 0) !== 0;
  if (shape.length === 4)
    return { shape: [batch, first, second, last], headsFirst: true, turned: turned || last, interleaved };
  const heads = numberOf(call, "num_heads", 0) || second / (2 * tableWidth);
  return {
    shape: [batch, first, heads, second / heads],
    headsFirst: false,
    turned: turned || second / heads,
    interleaved,
  };
}

/** The operator of ONNX: x, cos, sin, position ids or absent (then the tables hold a row per batch and sequence index). */
export const rotaryEmbedding: Reference = (call) => {
  const [x, cos, sin] = [inputOf(call, 0), inputOf(call, 1), inputOf(call, 2)];
  const form = formOf(call, cos.shape[cos.shape.length - 1] ?? 1);
  const ids = call.inputs[3] && numbersOf(call.inputs[3]);
  const length = form.headsFirst ? form.shape[2] : form.shape[1];
  const positionOf = ids
    ? (batch: number, index: number): number => ids[batch * length + index] as number
    : (batch: number, index: number): number => batch * length + index;
  return [rotated(x, cos, sin, form, positionOf)];
};

/** The operator of com.microsoft: x, position ids (one per token, or the first one), cos, sin. */
export const microsoftRotaryEmbedding: Reference = (call) => {
  const [x, cos, sin] = [inputOf(call, 0), inputOf(call, 2), inputOf(call, 3)];
  const ids = numbersOf(inputOf(call, 1));
  const form = formOf(call, cos.shape[cos.shape.length - 1] ?? 1);
  const length = form.headsFirst ? form.shape[2] : form.shape[1];
  const single = inputOf(call, 1).shape.length < 2;
  return [
    rotated(x, cos, sin, form, (batch, index) =>
      single ? (ids[0] as number) + index : (ids[batch * length + index] as number),
    ),
  ];
};
