/** WGSL of reductions: one invocation per result of [outer, reduced, inner]. */
import type { WgslKernel } from "../contract.ts";
import { floatWgsl, hasFloatWgsl } from "../expression/wgsl-float.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { floatLiteral } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";
import type { ReduceShape } from "./wasm.ts";

export function reduceWgsl({ combine, map, finish }: ReduceShape): WgslKernel | undefined {
  if (!hasFloatWgsl(map, 1) || !hasFloatWgsl(finish, 2)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, ["input", "output", "reduced", "inner"]);
  const [outer, column] = body.coordinates("index", ["1u", word("inner")]) as readonly [Wgsl, Wgsl];
  const first = body.let(`${word("input")} + (${outer} * ${word("reduced")} * ${word("inner")} + ${column}) * 4u`);
  const value = body.variable(identityOf(body, combine));
  body.loop(word("reduced"), (index) => {
    const element = body.let(body.call("loadFloat32", `${first} + ${index} * ${word("inner")} * 4u`));
    body.statement(`${value} = ${combined(body, combine, value, floatWgsl(body, map, [element]))};`);
  });
  const count = body.let(`f32(${word("reduced")})`);
  const result = floatWgsl(body, finish, [body.let(value), count]);
  body.statement(`${body.call("storeFloat32", `${word("output")} + index * 4u`, result)};`);
  return body.end();
}

function identityOf(body: WgslBody, combine: ReduceShape["combine"]): Wgsl {
  switch (combine) {
    case "add":
      return "0f";
    case "multiply":
      return "1f";
    case "maximum":
      return floatLiteral(body, -Infinity);
    case "minimum":
      return floatLiteral(body, Infinity);
  }
}

function combined(body: WgslBody, combine: ReduceShape["combine"], value: Wgsl, term: Wgsl): Wgsl {
  switch (combine) {
    case "add":
      return `${value} + ${term}`;
    case "multiply":
      return `${value} * ${term}`;
    case "maximum":
      return body.call("maximumFloat", value, term);
    case "minimum":
      return body.call("minimumFloat", value, term);
  }
}
