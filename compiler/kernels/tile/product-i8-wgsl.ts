/** WGSL of the integer products: one invocation per pixel and output channel, read where input and weights lie. */
import { byteSize } from "../../../runtime/format/dtype.ts";
import { input } from "../../../runtime/format/expression.ts";
import type { WgslKernel } from "../contract.ts";
import { emitWgslExpression, hasWgsl } from "../expression/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { loadElement, storeElement } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";
import { panelWidth } from "./multiply.ts";
import type { IntegerShape } from "./product-i8.ts";

export function integerProductWgsl(shape: IntegerShape): WgslKernel | undefined {
  const { finish, inputType, mergedPairs, periodic } = shape;
  const { outputType, operands } = finish;
  const types = ["int32" as const, ...operands.map(({ dtype }) => dtype)];
  const epilogue = finish.epilogue ?? input(0);
  if (!hasWgsl(epilogue, types)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, shape.names);
  const width = panelWidth(shape.tile);
  const filters = word("filtersPerGroup");
  const [image, y, x, group, filter] = body.coordinates("index", [
    "1u",
    word("outputHeight"),
    word("outputWidth"),
    word("groups"),
    filters,
  ]) as readonly [Wgsl, Wgsl, Wgsl, Wgsl, Wgsl];
  const panels = `(${filters} + ${width - 1}u) / ${width}u`;
  const panel = body.let(
    `${word("weights")} + (${group} * (${panels}) + ${filter} / ${width}u) * ${word("panelBytes")}`,
  );
  const column = body.let(`${filter} % ${width}u`);
  const sum = body.variable(loadElement(body, "int32", `${panel} + ${column} * 4u`));
  const source = body.let(
    `${word("input")} + ${image} * ${word("inputImage")} + ${y} * ${word("inputRowStep")} + ${x} * ${word("inputStep")} + ${group} * ${word("groupBytes")}`,
  );
  const quads = body.let(`(${word("runPairs")} + 1u) / 2u`);
  body.loop(word("kernelHeight"), (ky) => {
    body.loop(word("kernelWidth"), (kx) => {
      const pixel = body.let(`${source} + ${ky} * ${word("rowBytes")} + ${kx} * ${word("tapBytes")}`);
      const first = body.let(
        mergedPairs
          ? `${ky} * ${quads} * 4u + ${kx} * ${word("groupBytes")}`
          : `(${ky} * ${word("kernelWidth")} + ${kx}) * ${quads} * 4u`,
      );
      body.loop(word("groupBytes"), (c) => {
        const k = body.let(`${first} + ${c}`);
        const place = `${panel} + ${width * 4}u + (${k} / 4u) * ${width * 4}u + ${column} * 4u + ${k} % 4u`;
        const weight = loadElement(body, "int8", place);
        body.statement(`${sum} += i32(${loadElement(body, inputType, `${pixel} + ${c}`)}) * ${weight};`);
      });
    });
  });
  const channel = body.let(`${group} * ${filters} + ${filter}`);
  const placeOf = (name: string, offset: Wgsl, isPeriodic: boolean): Wgsl => {
    const rows = isPeriodic
      ? `(${y} % ${word(`${name}Period`)}) * ${word(`${name}Row`)}`
      : `${image} * ${word(`${name}Image`)} + ${y} * ${word(`${name}Row`)}`;
    return body.let(`${word(name)} + ${rows} + ${x} * ${word(`${name}Pixel`)} + ${offset}`);
  };
  const inputs = [
    body.let(sum),
    ...operands.map(({ dtype, channels }, k) => {
      const offset = channels === "contiguous" ? `${channel} * ${byteSize[dtype]}u` : "0u";
      return body.let(loadElement(body, dtype, placeOf(`operand${k}`, offset, periodic)));
    }),
  ];
  const value = emitWgslExpression(
    {
      body,
      operands: types,
      leaf: (leaf) => {
        const found = leaf.kind === "input" ? inputs[leaf.index] : undefined;
        if (found === undefined) throw new TypeError(`${leaf.kind} in the epilogue of an integer product`);
        return found;
      },
    },
    epilogue,
  );
  storeElement(body, outputType, placeOf("output", `${channel} * ${byteSize[outputType]}u`, false), value);
  return body.end();
}
