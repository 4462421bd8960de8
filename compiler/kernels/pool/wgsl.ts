/** WGSL of pooling: one invocation per output element, the window clipped tap by tap. */
import { byteSize } from "../../../runtime/format/dtype.ts";
import type { WgslKernel } from "../contract.ts";
import { floatWgsl, hasFloatWgsl } from "../expression/wgsl-float.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { floatLiteral, loadElement, storeElement } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";
import { type PoolShape, poolWords } from "./shape.ts";

export function poolWgsl(shape: PoolShape): WgslKernel | undefined {
  const { dtype, mode, countIncludePad, norm, epilogue, vertical, horizontal } = shape;
  if (!hasFloatWgsl(epilogue, 1)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, poolWords);
  const [image, y, x, channel] = body.coordinates("index", [
    "1u",
    word("outputHeight"),
    word("outputWidth"),
    word("channels"),
  ]) as readonly [Wgsl, Wgsl, Wgsl, Wgsl];
  const size = `${byteSize[dtype]}u`;
  const source = body.let(`${word("input")} + ${image} * ${word("inputImage")} + ${channel} * ${size}`);
  const value = body.variable(initialOf(body, shape));
  const counts = { rows: body.variable("0"), columns: body.variable("0") };
  /** Coordinate of tap `tap` of an axis at output position `position`. */
  const at = (axis: PoolShape["vertical"], position: Wgsl, tap: Wgsl): Wgsl =>
    body.let(`i32(${position}) * ${axis.stride} - ${axis.pad} + i32(${tap}) * ${axis.dilation}`);
  if (mode === "average") {
    const count = (axis: PoolShape["vertical"], position: Wgsl, extent: Wgsl, counted: Wgsl, total: Wgsl): void =>
      body.loop(`${axis.kernel}u`, (tap) => {
        const place = at(axis, position, tap);
        const counts = countIncludePad
          ? `${place} < i32(${counted}) - ${axis.pad}`
          : `${place} >= 0 && ${place} < i32(${extent})`;
        body.statement(`${total} += select(0, 1, ${counts});`);
      });
    count(vertical, y, word("height"), word("countedHeight"), counts.rows);
    count(horizontal, x, word("width"), word("countedWidth"), counts.columns);
  }
  body.loop(`${vertical.kernel}u`, (row) => {
    const inputY = at(vertical, y, row);
    body.block(`if (${inputY} >= 0 && ${inputY} < i32(${word("height")}))`, () => {
      body.loop(`${horizontal.kernel}u`, (column) => {
        const inputX = at(horizontal, x, column);
        body.block(`if (${inputX} >= 0 && ${inputX} < i32(${word("width")}))`, () => {
          const address = `${source} + u32(${inputY}) * ${word("inputRow")} + u32(${inputX}) * ${word("inputPixel")}`;
          const element = body.let(loadElement(body, dtype, address));
          const next = dtype === "float32" ? combined(body, mode, norm, value, element) : `max(${value}, ${element})`;
          body.statement(`${value} = ${next};`);
        });
      });
    });
  });
  const target = `${word("output")} + ${image} * ${word("outputImage")} + ${y} * ${word("outputRow")} + ${x} * ${word("outputPixel")} + ${channel} * ${size}`;
  if (dtype !== "float32") {
    storeElement(body, dtype, target, value);
    return body.end();
  }
  const result = body.let(finished(body, mode, norm, value, counts));
  body.statement(`${body.call("storeFloat32", target, floatWgsl(body, epilogue, [result]))};`);
  return body.end();
}

function initialOf(body: WgslBody, { dtype, mode }: PoolShape): Wgsl {
  if (dtype === "int8") return "-128";
  if (dtype === "uint8") return "0u";
  return mode === "max" ? floatLiteral(body, -Infinity) : "0f";
}

function combined(body: WgslBody, mode: PoolShape["mode"], norm: number, value: Wgsl, element: Wgsl): Wgsl {
  switch (mode) {
    case "max":
      return body.call("maximumFloat", value, element);
    case "average":
      return `${value} + ${element}`;
    case "lp":
      if (norm === 1) return `${value} + abs(${element})`;
      if (norm === 2) return `${value} + ${element} * ${element}`;
      return `${value} + ${body.call("power", `abs(${element})`, floatLiteral(body, norm))}`;
  }
}

function finished(
  body: WgslBody,
  mode: PoolShape["mode"],
  norm: number,
  value: Wgsl,
  counts: { readonly rows: Wgsl; readonly columns: Wgsl },
): Wgsl {
  switch (mode) {
    case "max":
      return value;
    case "average":
      return `${value} / f32(${counts.rows} * ${counts.columns})`;
    case "lp":
      if (norm === 1) return value;
      return norm === 2 ? `sqrt(${value})` : body.call("power", value, floatLiteral(body, 1 / norm));
  }
}
