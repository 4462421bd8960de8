/** WGSL of normalised rows: one invocation per row. Reading and writing in place is fine. */
import type { WgslKernel } from "../contract.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { namedWords } from "../wgsl/words.ts";
import type { NormShape } from "./wasm.ts";

export function normWgsl({ centered, affine, scale, shift }: NormShape): WgslKernel {
  const body = new WgslBody();
  const word = namedWords(body, ["input", "output", "scale", "shift", "length", "channels", "epsilon"]);
  const length = word("length");
  const skipped = body.let(`index * ${length} * 4u`);
  const load = (name: "input" | "scale" | "shift", offset: Wgsl): Wgsl =>
    body.call("loadFloat32", `${word(name)} + ${offset}`);
  const count = body.let(`f32(${length})`);
  const mean = body.variable("0f");
  if (centered) {
    body.loop(length, (at) => body.statement(`${mean} += ${load("input", `${skipped} + ${at} * 4u`)};`));
    body.statement(`${mean} /= ${count};`);
  }
  const squares = body.variable("0f");
  body.loop(length, (at) => {
    const difference = body.let(`${load("input", `${skipped} + ${at} * 4u`)} - ${mean}`);
    body.statement(`${squares} += ${difference} * ${difference};`);
  });
  const factor = body.let(`1f / sqrt(${squares} / ${count} + bitcast<f32>(${word("epsilon")}))`);
  const channel = body.let(`index % ${word("channels")} * 4u`);
  const output = word("output");
  const [scales, shifts] = [word("scale"), word("shift")];
  body.loop(length, (at) => {
    const place = affine === "row" ? channel : `${at} * 4u`;
    const normal = `(${load("input", `${skipped} + ${at} * 4u`)} - ${mean}) * ${factor}`;
    const scaled =
      scale && affine !== "none" ? `${normal} * ${body.call("loadFloat32", `${scales} + ${place}`)}` : normal;
    const value =
      shift && affine !== "none" ? `${scaled} + ${body.call("loadFloat32", `${shifts} + ${place}`)}` : scaled;
    body.statement(`${body.call("storeFloat32", `${output} + ${skipped} + ${at} * 4u`, value)};`);
  });
  return body.end();
}
