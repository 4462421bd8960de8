/** Moves the channel axis of a tensor between position 1 (ONNX) and the end (the layout of activations). */
import { type Tensor, zeros } from "../format/tensor.ts";

function moved(tensor: Tensor, outer: number, rows: number, columns: number, shape: readonly number[]): Tensor {
  const result = zeros(tensor.dtype, shape);
  for (let n = 0; n < outer; n++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        result.data[(n * columns + column) * rows + row] = tensor.data[(n * rows + row) * columns + column] as never;
  return result;
}

/** [N, C, spatial…] to [N, spatial…, C]. */
export function channelsLast(tensor: Tensor): Tensor {
  const [batch = 1, channels = 1, ...spatial] = tensor.shape;
  return moved(
    tensor,
    batch,
    channels,
    spatial.reduce((a, b) => a * b, 1),
    [batch, ...spatial, channels],
  );
}

/** [N, spatial…, C] to [N, C, spatial…]. */
export function channelsFirst(tensor: Tensor): Tensor {
  const batch = tensor.shape[0] ?? 1;
  const channels = tensor.shape[tensor.shape.length - 1] ?? 1;
  const spatial = tensor.shape.slice(1, -1);
  return moved(
    tensor,
    batch,
    spatial.reduce((a, b) => a * b, 1),
    channels,
    [batch, channels, ...spatial],
  );
}
