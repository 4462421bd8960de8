/** WGSL of attention: one invocation per query of a head, its sums kept in a private array, one pass over the keys. */
import type { WgslKernel } from "../contract.ts";
import { WgslBody } from "../wgsl/body.ts";
import { floatLiteral } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";
import type { AttentionShape } from "./shape.ts";

export function attentionWgsl(shape: AttentionShape): WgslKernel {
  const { group, depth, valueDepth, transposedKeys, mask, lengths, causal, window, softcap } = shape;
  const body = new WgslBody();
  const word = namedWords(body, shape.names);
  const [place, query] = body.coordinates("index", ["1u", word("queries")]) as readonly [string, string];
  const heads = body.let(`${word("keyHeads")} * ${group}u`);
  const [batch, head] = body.coordinates(place, ["1u", heads]) as readonly [string, string];
  const shared = body.let(`${head} / ${group}u`);
  const start = (name: string, ofHead: string, token?: string): string => {
    const own = `${word(name)} + ${batch} * ${word(`${name}Batch`)} + ${ofHead} * ${word(`${name}Head`)}`;
    return body.let(token === undefined ? own : `${own} + ${token} * ${word(`${name}Token`)}`);
  };
  const [queries, outputs] = [start("query", head, query), start("output", head, query)];
  const [keys, values] = [start("key", shared), start("value", shared)];
  const masks = mask === "none" ? undefined : start("mask", head, query);
  const all = `i32(${word("keys")})`;
  const length = lengths
    ? body.let(`clamp(${body.call("loadInt32", `${word("lengths")} + ${batch} * 4u`)}, 0, ${all})`)
    : body.let(all);
  const position = body.let(`i32(${query}) + ${length} - i32(${word("queries")})`);
  const last = causal ? body.let(`max(0, min(${length}, ${position} + 1))`) : length;
  const first = window ? body.let(`max(0, ${position} + 1 - i32(${word("window")}))`) : "0";
  const scale = body.let(`bitcast<f32>(${word("scale")})`);
  const largest = body.variable(floatLiteral(body, -3.4028234663852886e38));
  const sum = body.variable("0f");
  body.statement(`var sums: array<f32, ${valueDepth}>;`);
  const lowest = body.let(floatLiteral(body, Number.NEGATIVE_INFINITY));
  body.block(`for (var token = ${first}; token < ${last}; token++)`, () => {
    const dot = body.variable("0f");
    const key = transposedKeys ? `${keys} + u32(token) * 4u` : `${keys} + u32(token) * ${word("keyToken")}`;
    const from = body.let(key);
    const step = transposedKeys ? word("keyFeature") : "4u";
    body.loop(`${depth}u`, (at) => {
      const product = `${body.call("loadFloat32", `${queries} + ${at} * 4u`)} * ${body.call("loadFloat32", `${from} + ${at} * ${step}`)}`;
      body.statement(`${dot} += ${product};`);
    });
    const score = body.variable(`${dot} * ${scale}`);
    if (softcap !== undefined)
      body.statement(`${score} = ${floatLiteral(body, softcap)} * ${body.call("tanhFloat", score)};`);
    if (masks) {
      const offset = mask === "keys" ? `${masks} + u32(token) * 4u` : masks;
      body.statement(`${score} += ${body.call("loadFloat32", offset)};`);
    }
    body.block(`if (bitcast<u32>(${score}) != bitcast<u32>(${lowest}))`, () => {
      const next = body.let(body.call("maximumFloat", largest, score));
      const decay = body.let(body.call("expFloat", `${largest} - ${next}`));
      const weight = body.let(body.call("expFloat", `${score} - ${next}`));
      body.statement(`${largest} = ${next};`);
      body.statement(`${sum} = ${sum} * ${decay} + ${weight};`);
      const value = body.let(`${values} + u32(token) * ${word("valueToken")}`);
      body.loop(`${valueDepth}u`, (at) => {
        const element = body.call("loadFloat32", `${value} + ${at} * 4u`);
        body.statement(`sums[${at}] = sums[${at}] * ${decay} + ${weight} * ${element};`);
      });
    });
  });
  const factor = body.let(`select(1f / ${sum}, 0f, ${sum} == 0f)`);
  body.loop(`${valueDepth}u`, (at) => {
    body.statement(`${body.call("storeFloat32", `${outputs} + ${at} * 4u`, `sums[${at}] * ${factor}`)};`);
  });
  return body.end();
}
