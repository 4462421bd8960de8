/** WGSL of a transposing copy: one invocation per element, the input's innermost axis fastest. */
import type { WgslKernel } from "../contract.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { loadElement, storeElement } from "../wgsl/element.ts";

/** Words as `transposition` lays them out, with `outerAxes` outer axes, for elements of `size` bytes. */
export function transposeWgsl(outerAxes: number, size: 1 | 4): WgslKernel {
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
  const source = `${input} + ${column} * ${size}u + ${row} * ${inputPitch}${steps("from")}`;
  const target = `${output} + ${row} * ${size}u + ${column} * ${outputPitch}${steps("to")}`;
  if (size === 1) storeElement(body, "uint8", target, loadElement(body, "uint8", source));
  else body.statement(`setCell((${target}) >> 2u, cell((${source}) >> 2u));`);
  return body.end();
}
