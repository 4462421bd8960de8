/** WGSL of softmax and log-softmax: one invocation per row of [outer, length, inner]. */
import type { WgslKernel } from "../contract.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { floatLiteral } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";

export function softmaxWgsl(logarithm: boolean): WgslKernel {
  const body = new WgslBody();
  const word = namedWords(body, ["input", "output", "length", "inner"]);
  const [outer, column] = body.coordinates("index", ["1u", word("inner")]) as readonly [Wgsl, Wgsl];
  const first = body.let(`(${outer} * ${word("length")} * ${word("inner")} + ${column}) * 4u`);
  const step = body.let(`${word("inner")} * 4u`);
  const [input, output, length] = [word("input"), word("output"), word("length")];
  const element = (index: Wgsl): Wgsl => body.call("loadFloat32", `${input} + ${first} + ${index} * ${step}`);
  const largest = body.variable(floatLiteral(body, -Infinity));
  body.loop(length, (index) => body.statement(`${largest} = ${body.call("maximumFloat", largest, element(index))};`));
  const sum = body.variable("0f");
  body.loop(length, (index) => body.statement(`${sum} += ${body.call("expFloat", `${element(index)} - ${largest}`)};`));
  body.loop(length, (index) => {
    const shifted = body.let(`${element(index)} - ${largest}`);
    const value = logarithm
      ? `${shifted} - ${body.call("logFloat", sum)}`
      : `${body.call("expFloat", shifted)} / ${sum}`;
    body.statement(`${body.call("storeFloat32", `${output} + ${first} + ${index} * ${step}`, value)};`);
  });
  return body.end();
}
