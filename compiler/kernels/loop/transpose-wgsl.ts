/** WGSL of a transposing copy of four-byte elements: one invocation per element, the input's innermost axis fastest. */
import type { WgslKernel } from "../contract.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";

/** Words as `transposition` lays them out, with `outerAxes` outer axes. */
export function transposeWgsl(outerAxes: number): WgslKernel {
  const body = new WgslBody();
  const [output, input, across, down, inputPitch, outputPitch] = [0, 1, 2, 3, 4, 5].map((word) =>
    body.word(word),
  ) as readonly Wgsl[];
  const axes = Array.from({ length: outerAxes }, (_, axis) => {
    const [extent, from, to] = [7, 8, 9].map((word) => body.word(word + axis * 3));
    return { extent, from, to };
  });
  const at = body.coordinates("index", [...axes.map(({ extent }) => extent as Wgsl), down as Wgsl, across as Wgsl]);
  const [row, column] = at.slice(-2);
  const steps = (side: "from" | "to"): string => axes.map((axis, place) => ` + ${at[place]} * ${axis[side]}`).join("");
  const source = `${input} + ${column} * 4u + ${row} * ${inputPitch}${steps("from")}`;
  const target = `${output} + ${row} * 4u + ${column} * ${outputPitch}${steps("to")}`;
  body.statement(`setCell((${target}) >> 2u, cell((${source}) >> 2u));`);
  return body.end();
}
