/**
 * The transforms of Winograd's F(2x2, 3x3) over vectors of channels, whatever their lanes are: of tiles of the input,
 * and back; those of weights have a form in one dimension of their own, as integers scale it. The 16 points of a tile lie
 * `pointBytes` apart.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { v128 } from "../../assemble/vector.ts";
import { points } from "./winograd-tiles.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

/** One row or column of a tile, or of weights. */
export type Line = readonly Vector[];

export interface Lanes {
  add(left: Vector, right: Vector): Vector;
  sub(left: Vector, right: Vector): Vector;
}

/**
 * `transform` along each of `count` lines, then across what came out of them, which `keep` may put into locals; `visit`
 * gets the rows of the result in order.
 */
export function transformBothWays(
  count: number,
  line: (index: number) => Line,
  transform: (line: Line) => Line,
  visit: (row: Line, index: number) => void,
  keep: (value: Vector) => Vector = (value) => value,
): void {
  const half = Array.from({ length: count }, (_, index) => transform(line(index)).map(keep));
  for (let i = 0; i < (half[0]?.length ?? 0); i++) visit(transform(half.map((values) => values[i] as Vector)), i);
}

/** Addresses of four lines from `first` on; behind `last` that one repeats. */
export function nearestLines(
  body: BodyBuilder,
  first: Address,
  last: Address,
  step: Address,
  start?: Address,
): readonly Address[] {
  return [0, 1, 2, 3].map((i) => {
    const inside = body.local("i32", minimumS(body.local("i32", i32.add(first, i)), last));
    const distance = i32.mul(inside, step);
    return body.local("i32", start ? i32.add(start, distance) : distance);
  });
}

/** Four by four pixels of a vector of channels. */
export interface Tile {
  readonly rows: readonly Address[];
  readonly columns: readonly Address[];
  readonly channel: Address;
  load(address: Expression<"i32">): Vector;
}

/** Bᵀ d B of a tile, from `target` on. */
export function storeInputPoints(
  body: BodyBuilder,
  lanes: Lanes,
  { rows, columns, channel, load }: Tile,
  target: Expression<"i32">,
  pointBytes: Address,
): void {
  const place = body.local("i32", target);
  transformBothWays(
    columns.length,
    (index) => {
      const offset = body.local("i32", i32.add(columns[index] as Address, channel));
      return rows.map((row) => body.local("v128", load(i32.add(row, offset))));
    },
    (line) => bilinear(lanes, line as Four),
    (row) => storePoints(body, row, place, pointBytes),
    (value) => body.local("v128", value),
  );
}

/** One vector after the other, `offset` bytes behind `place`, which moves on. */
export function storePoints(body: BodyBuilder, values: Line, place: Address, pointBytes: Address, offset = 0): void {
  for (const value of values) {
    body.v128Store(place, value, { offset });
    body.set(place, i32.add(place, pointBytes));
  }
}

/** Aᵀ m A of the points at `source + offset`: two rows of two pixels. */
export function outputPixels(
  body: BodyBuilder,
  lanes: Lanes,
  source: Expression<"i32">,
  pointBytes: Address,
  offset: number,
  visit: (row: Line, index: number) => void,
): void {
  const place = body.local("i32", source);
  const m = Array.from({ length: points }, () => {
    const value = body.local("v128", v128.load(place, { offset }));
    body.set(place, i32.add(place, pointBytes));
    return value;
  });
  transformBothWays(
    4,
    (column) => [0, 1, 2, 3].map((row) => m[row * 4 + column] as Vector),
    (line) => gathered(body, lanes, line as Four),
    visit,
  );
}

type Four = readonly [Vector, Vector, Vector, Vector];

/** A row of Bᵀ d. */
const bilinear = ({ add, sub }: Lanes, [d0, d1, d2, d3]: Four): Line => [
  sub(d0, d2),
  add(d1, d2),
  sub(d2, d1),
  sub(d1, d3),
];

/** A row of Aᵀ m: m0 + m1 + m2, m1 - m2 - m3. */
const gathered = (body: BodyBuilder, { add, sub }: Lanes, [m0, m1, m2, m3]: Four): Line => [
  body.local("v128", add(add(m0, m1), m2)),
  body.local("v128", sub(sub(m1, m2), m3)),
];
