/** WGSL of matrix products: one invocation per row of A and four columns of B. */
import type { WgslKernel } from "../contract.ts";
import { hasFloatWgsl } from "../expression/wgsl-float.ts";
import { finishQuad, type PanelQuad, quad, weightQuad } from "../tile/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { namedWords } from "../wgsl/words.ts";
import { halvesFront, quadBytes } from "./halves.ts";
import { matmulWidth } from "./variants.ts";
import type { MatmulShape } from "./wasm.ts";

export function matmulWgsl(shape: MatmulShape): WgslKernel | undefined {
  const { dynamicB, epilogue, operandChannels } = shape;
  if (!hasFloatWgsl(epilogue, operandChannels.length + 1)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, shape.names);
  const columns = word("columns");
  const [row, block] = body.coordinates("index", [
    "1u",
    body.let(`(${columns} + ${quad - 1}u) / ${quad}u`),
  ]) as readonly [Wgsl, Wgsl];
  const column = body.let(`${block} * ${quad}u`);
  const place = body.let(`${column} % ${matmulWidth}u`);
  const number = body.let(`${column} / ${matmulWidth}u`);
  const panel = body.let(
    `${word("b")} + (${row} / ${word("rowsPerB")}) * ${word("bytesPerB")} + ${number} * ${word("panelBytes")}`,
  );
  const weights = dynamicB
    ? bareQuad(body, panel, place, body.let(`${word("bias")} + ${number} * ${word("biasStep")}`))
    : shape.storage === "float16"
      ? halvesQuad(body, panel, place)
      : weightQuad(body, shape, matmulWidth, panel, place, word("inner"));
  const sum = body.variable(weights.bias);
  const source = body.variable(`${word("a")} + ${row} * ${word("aRow")}`);
  body.loop(word("inner"), () => {
    body.statement(`${sum} += ${body.call("loadFloat32", source)} * ${weights.weights};`);
    body.statement(`${source} += 4u;`);
    body.statement(`${weights.cursor} += ${weights.step}u;`);
  });
  const target = body.let(`${word("c")} + ${row} * ${word("cRow")} + ${column} * 4u`);
  const operands = operandChannels.map((channels, k) => {
    const name = `operand${k}`;
    const start = body.let(`${word(name)} + (${row} % ${word(`${name}Period`)}) * ${word(`${name}Row`)}`);
    return (at: Wgsl): Wgsl => (channels === "contiguous" ? `${start} + (${column} + ${at}) * 4u` : start);
  });
  finishQuad(body, sum, body.let(`${columns} - ${column}`), target, epilogue, operands);
  return body.end();
}

/** Four columns of a float16 panel, in two pairs (halves.ts). */
function halvesQuad(body: WgslBody, panel: Wgsl, column: Wgsl): PanelQuad {
  const cursor = body.variable("0u");
  const first = body.let(`${panel} + ${halvesFront}u + ${column} * 8u`);
  return {
    bias: body.let(body.call("quadFloat32", `${panel} + ${column} * 4u`)),
    cursor,
    step: 1,
    weights: body.call("quadHalves", `${first} + (${cursor} / 4u) * ${quadBytes}u + (${cursor} % 4u) * 4u`),
  };
}

/** Four columns of a panel that was computed at run time: weights alone, the bias apart. */
function bareQuad(body: WgslBody, panel: Wgsl, column: Wgsl, bias: Wgsl): PanelQuad {
  const cursor = body.variable(`${panel} + ${column} * 4u`);
  return {
    bias: body.let(body.call("quadFloat32", `${bias} + ${column} * 4u`)),
    cursor,
    step: matmulWidth * 4,
    weights: body.call("quadFloat32", cursor),
  };
}
