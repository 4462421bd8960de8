/**
 * Weights to shards: one after another as they lie in memory, each tensor on 64 bytes, in files of at most
 * 4 MiB. A tensor that does not fit is cut at its own unit (a panel).
 */
import { maximumShardBytes } from "../../runtime/format/validate-manifest.ts";
import { alignUp } from "../plan/memory.ts";
import type { PlannedWeight } from "../plan/plan.ts";

interface Piece {
  readonly weight: PlannedWeight;
  readonly start: number;
  readonly end: number;
  /** Bytes in the region: the piece, and the gap to the next tensor. */
  readonly span: number;
}

export function cutShards(weights: readonly PlannedWeight[]): readonly Uint8Array[] {
  const shards: Uint8Array[] = [];
  let pieces: Piece[] = [];
  let bytes = 0;
  const close = (): void => {
    if (bytes === 0) return;
    const shard = new Uint8Array(bytes);
    let at = 0;
    for (const { weight, start, end, span } of pieces) {
      shard.set(weight.bytes.subarray(start, end), at);
      at += span;
    }
    shards.push(shard);
    pieces = [];
    bytes = 0;
  };
  for (const piece of weights.flatMap(piecesOf)) {
    if (bytes + piece.span > maximumShardBytes) close();
    pieces.push(piece);
    bytes += piece.span;
  }
  close();
  return shards;
}

function piecesOf(weight: PlannedWeight): readonly Piece[] {
  const length = weight.bytes.byteLength;
  const whole = alignUp(length);
  if (whole <= maximumShardBytes) return [{ weight, start: 0, end: length, span: whole }];
  const unit = weight.unit <= maximumShardBytes ? weight.unit : 64;
  const step = Math.floor(maximumShardBytes / unit) * unit;
  const pieces: Piece[] = [];
  for (let start = 0; start < length; start += step) {
    const end = Math.min(length, start + step);
    pieces.push({ weight, start, end, span: end === length ? whole - start : step });
  }
  const last = pieces.at(-1);
  // The alignment gap behind the last piece may be what does not fit.
  if (last && last.span > maximumShardBytes) {
    pieces.pop();
    const middle = last.start + Math.floor((last.end - last.start) / 2 / unit) * unit;
    pieces.push({ ...last, end: middle, span: middle - last.start }, { ...last, start: middle, span: whole - middle });
  }
  return pieces;
}
