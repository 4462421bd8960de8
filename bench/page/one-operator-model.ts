/** The smallest ONNX model, y = Identity(x) (or another operator) for one float: what an engine needs to be ready, and nothing else. */

const text = (value: string): readonly number[] => [...new TextEncoder().encode(value)];
/** A length-delimited protobuf field of fewer than 128 bytes. */
const field = (number: number, content: readonly number[]): readonly number[] => [
  number * 8 + 2,
  content.length,
  ...content,
];
const integer = (number: number, value: number): readonly number[] => [number * 8, value];

/** ValueInfoProto of a float tensor [1]. */
function port(name: string): readonly number[] {
  const shape = field(2, field(1, integer(1, 1)));
  const type = field(1, [...integer(1, 1), ...shape]);
  return [...field(1, text(name)), ...field(2, type)];
}

export function oneOperatorModel(operator = "Identity"): Uint8Array {
  const node = [...field(1, text("x")), ...field(2, text("y")), ...field(4, text(operator))];
  const graph = [...field(1, node), ...field(2, text("g")), ...field(11, port("x")), ...field(12, port("y"))];
  const opset = field(8, integer(2, 13));
  return Uint8Array.from([...integer(1, 8), ...field(7, graph), ...opset]);
}
