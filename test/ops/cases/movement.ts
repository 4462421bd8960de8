/** Cases of operators that move data. Expected values are worked out by hand from the ONNX operator documentation. */
import {
  floatAttribute,
  integerAttribute,
  integersAttribute,
  stringAttribute,
} from "../../../compiler/graph/attribute.ts";
import type { Attributes } from "../../../compiler/graph/graph.ts";
import { type DType, dtypes } from "../../../runtime/format/dtype.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { type OperatorCase, tensor } from "../case.ts";

const ints = (...values: readonly number[]): Tensor => tensor("int64", values);
const scalar = (dtype: DType, value: number): Tensor => tensor(dtype, [value], []);
const list = integersAttribute;
const one = integerAttribute;
const text = stringAttribute;

/** 0, 1, 2… (0 and 1 in turn for bool). */
const counting = (dtype: DType, shape: readonly number[]): Tensor => {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return tensor(
    dtype,
    Array.from({ length: count }, (_, i) => (dtype === "bool" ? i % 2 : i)),
    shape,
  );
};

/** One case for every element type. `expected` holds positions of a counting input. */
function everyType(
  op: string,
  version: number,
  shape: readonly number[],
  rest: readonly (Tensor | undefined)[],
  attributes: Attributes,
  expectedShape: readonly number[],
  positions: readonly number[],
): readonly OperatorCase[] {
  return dtypes.map((dtype): OperatorCase => {
    const values = positions.map((position) => (dtype === "bool" ? position % 2 : position));
    return {
      name: `${dtype} [${shape}] to [${expectedShape}] ${Object.keys(attributes)} ${rest.length}`,
      op,
      version,
      inputs: [counting(dtype, shape), ...rest],
      attributes,
      expected: [tensor(dtype, values, expectedShape)],
    };
  });
}

const float = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor("float32", values, shape);

/** A case on float32 with its expected values. */
const known = (
  name: string,
  op: string,
  version: number,
  inputs: readonly (Tensor | undefined)[],
  attributes: Attributes,
  ...expected: readonly Tensor[]
): OperatorCase => ({ name, op, version, inputs, attributes, expected, outputCount: expected.length });

const image = float([1, 2, 3, 4], [1, 1, 2, 2]);
const none = tensor("float32", []);

const resize = (
  name: string,
  inputs: readonly (Tensor | undefined)[],
  attributes: Attributes,
  expected: Tensor,
): OperatorCase => known(name, "Resize", 19, inputs, attributes, expected);

const row = (...values: readonly number[]): Tensor => float(values, [1, 1, 1, values.length]);

export const movementCases: readonly OperatorCase[] = [
  ...everyType("Reshape", 14, [2, 6], [ints(0, -1, 2)], {}, [2, 3, 2], [...Array(12).keys()]),
  known("allowzero", "Reshape", 14, [float([], [0, 3]), ints(3, 0)], { allowzero: one(1) }, float([], [3, 0])),
  known("attribute", "Reshape", 14, [float([1, 2, 3, 4])], { shape: list([2, -1]) }, float([1, 2, 3, 4], [2, 2])),
  ...everyType("Flatten", 13, [2, 1, 3], [], { axis: one(-1) }, [2, 3], [0, 1, 2, 3, 4, 5]),
  known("axis 0", "Flatten", 9, [float([1, 2], [2, 1])], { axis: one(0) }, float([1, 2], [1, 2])),
  known("axes as attribute", "Squeeze", 11, [float([1, 2], [1, 2, 1])], { axes: list([0, -1]) }, float([1, 2])),
  known("axes as input", "Squeeze", 13, [float([1, 2], [1, 2, 1]), ints(-1)], {}, float([1, 2], [1, 2])),
  known("every axis of 1", "Squeeze", 13, [float([1, 2], [1, 2, 1])], {}, float([1, 2])),
  known("axes as attribute", "Unsqueeze", 11, [float([1, 2])], { axes: list([0, 2]) }, float([1, 2], [1, 2, 1])),
  known("axes out of order", "Unsqueeze", 13, [float([1, 2]), ints(-1, 0)], {}, float([1, 2], [1, 2, 1])),
  known("part", "Shape", 15, [float([], [2, 0, 4])], { start: one(-2), end: one(-1) }, ints(0)),
  known("whole", "Shape", 13, [float([1, 2], [2, 1])], {}, ints(2, 1)),
  known("elements", "Size", 13, [float([1, 2, 3], [3, 1])], {}, scalar("int64", 3)),
  ...everyType("Transpose", 13, [2, 3], [], {}, [3, 2], [0, 3, 1, 4, 2, 5]),
  ...everyType("Transpose", 13, [1, 2, 3], [], { perm: list([1, 0, 2]) }, [2, 1, 3], [0, 1, 2, 3, 4, 5]),
  ...everyType("Transpose", 13, [2, 2, 2], [], { perm: list([0, 2, 1]) }, [2, 2, 2], [0, 2, 1, 3, 4, 6, 5, 7]),
  known(
    "last axis",
    "Concat",
    13,
    [float([1, 2], [2, 1]), float([3, 4, 5, 6], [2, 2])],
    { axis: one(-1) },
    float([1, 3, 4, 2, 5, 6], [2, 3]),
  ),
  known("an empty member", "Concat", 13, [float([1, 2]), float([]), float([3])], { axis: one(0) }, float([1, 2, 3])),
  known(
    "equal parts",
    "Split",
    11,
    [float([1, 2, 3, 4], [2, 2])],
    { axis: one(1) },
    float([1, 3], [2, 1]),
    float([2, 4], [2, 1]),
  ),
  known("lengths as attribute", "Split", 11, [float([1, 2, 3])], { split: list([1, 2]) }, float([1]), float([2, 3])),
  known("lengths as input", "Split", 13, [float([1, 2, 3]), ints(2, 1)], {}, float([1, 2]), float([3])),
  known(
    "a shorter last part",
    "Split",
    18,
    [float([1, 2, 3, 4, 5])],
    { num_outputs: one(2) },
    float([1, 2, 3]),
    float([4, 5]),
  ),
  ...everyType(
    "Slice",
    13,
    [3, 4],
    [ints(-1, 1), ints(-4, 2 ** 40), ints(0, 1), ints(-2, 2)],
    {},
    [2, 2],
    [9, 11, 1, 3],
  ),
  known(
    "attributes",
    "Slice",
    9,
    [counting("float32", [3, 3])],
    { starts: list([1]), ends: list([-1]), axes: list([1]) },
    float([1, 4, 7], [3, 1]),
  ),
  known("nothing left", "Slice", 13, [float([1, 2, 3]), ints(2), ints(1)], {}, float([])),
  known("beyond both ends", "Slice", 13, [float([1, 2, 3]), ints(-9), ints(9)], {}, float([1, 2, 3])),
  ...everyType("Expand", 13, [2, 1], [ints(2, 1, 3)], {}, [2, 2, 3], [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]),
  ...everyType("Tile", 13, [1, 2], [ints(2, 2)], {}, [2, 4], [0, 1, 0, 1, 0, 1, 0, 1]),
  ...everyType("Gather", 13, [3, 2], [tensor("int32", [2, -3, 2])], { axis: one(0) }, [3, 2], [4, 5, 0, 1, 4, 5]),
  ...everyType("Gather", 13, [3, 2], [ints(0, 2)], {}, [2, 2], [0, 1, 4, 5]),
  known(
    "a scalar index",
    "Gather",
    13,
    [counting("float32", [2, 3]), scalar("int64", -1)],
    { axis: one(1) },
    float([2, 5]),
  ),
  known(
    "a matrix of indices",
    "Gather",
    13,
    [float([5, 6, 7]), tensor("int64", [2, 0, 1, -1], [2, 2])],
    {},
    float([7, 5, 6, 7], [2, 2]),
  ),
  ...everyType(
    "GatherElements",
    13,
    [2, 3],
    [tensor("int64", [1, 0, -1, 0], [2, 2])],
    { axis: one(1) },
    [2, 2],
    [1, 0, 5, 3],
  ),
  ...everyType("GatherND", 13, [2, 2, 2], [tensor("int64", [1, 0, -2, 1], [2, 2])], {}, [2, 2], [4, 5, 2, 3]),
  known(
    "batch",
    "GatherND",
    13,
    [counting("float32", [2, 2, 2]), tensor("int64", [1, 0], [2, 1])],
    { batch_dims: one(1) },
    float([2, 3, 4, 5], [2, 2]),
  ),
  known(
    "later updates win",
    "ScatterElements",
    18,
    [float([1, 2, 3]), ints(1, -2), float([8, 9])],
    {},
    float([1, 9, 3]),
  ),
  ...["add", "mul", "max", "min"].map((reduction, i) =>
    known(
      reduction,
      "ScatterElements",
      18,
      [float([1, 2, 3]), ints(1, 1), float([4, 5])],
      { reduction: text(reduction) },
      float([1, [11, 40, 5, 2][i] as number, 3]),
    ),
  ),
  known("before version 11", "Scatter", 9, [float([1, 2, 3]), ints(0), float([7])], {}, float([7, 2, 3])),
  known(
    "blocks",
    "ScatterND",
    18,
    [counting("int32", [3, 2]), tensor("int64", [2, 0], [2, 1]), tensor("int32", [7, 8, 9, 6], [2, 2])],
    {},
    tensor("int32", [9, 6, 2, 3, 7, 8], [3, 2]),
  ),
  known(
    "sums",
    "ScatterND",
    18,
    [float([1, 2]), tensor("int64", [1, 1], [2, 1]), float([4, 5])],
    { reduction: text("add") },
    float([1, 11]),
  ),
  ...everyType("Pad", 13, [2, 2], [ints(0, -1, 1, 1), undefined], {}, [3, 2], [1, 0, 3, 0, 0, 0]),
  ...(["edge", "reflect", "wrap"] as const).map((mode, i) =>
    known(
      mode,
      "Pad",
      19,
      [float([1, 2, 3]), ints(2, 1)],
      { mode: text(mode) },
      float(
        [
          [1, 1, 1, 2, 3, 3],
          [3, 2, 1, 2, 3, 2],
          [2, 3, 1, 2, 3, 1],
        ][i] as number[],
      ),
    ),
  ),
  known(
    "reflects more than once",
    "Pad",
    19,
    [float([1, 2, 3]), ints(5, 0)],
    { mode: text("reflect") },
    float([2, 1, 2, 3, 2, 1, 2, 3]),
  ),
  known(
    "attributes and a value",
    "Pad",
    2,
    [float([1, 2])],
    { pads: list([1, 0]), value: floatAttribute(-Infinity) },
    float([-Infinity, 1, 2]),
  ),
  known(
    "named axes",
    "Pad",
    18,
    [float([1, 2], [1, 2]), ints(1, 0), scalar("float32", 9), ints(-1)],
    {},
    float([9, 1, 2], [1, 3]),
  ),
  ...(["DCR", "CRD"] as const).map((mode, i) =>
    known(
      mode,
      "DepthToSpace",
      13,
      [counting("float32", [1, 8, 1, 1])],
      { blocksize: one(2), mode: text(mode) },
      float(
        [
          [0, 2, 4, 6, 1, 3, 5, 7],
          [0, 1, 2, 3, 4, 5, 6, 7],
        ][i] as number[],
        [1, 2, 2, 2],
      ),
    ),
  ),
  ...(["DCR", "CRD"] as const).map((mode, i) =>
    known(
      `${mode}, channels last`,
      "DepthToSpace",
      13,
      [counting("float32", [1, 1, 1, 8])],
      { blocksize: one(2), mode: text(mode), layout: text("NHWC") },
      float(
        [
          [0, 1, 2, 3, 4, 5, 6, 7],
          [0, 4, 1, 5, 2, 6, 3, 7],
        ][i] as number[],
        [1, 2, 2, 2],
      ),
    ),
  ),
  known(
    "channels first",
    "SpaceToDepth",
    13,
    [counting("float32", [1, 2, 2, 2])],
    { blocksize: one(2) },
    float([0, 4, 1, 5, 2, 6, 3, 7], [1, 8, 1, 1]),
  ),
  known(
    "channels last",
    "SpaceToDepth",
    13,
    [counting("float32", [1, 2, 2, 2])],
    { blocksize: one(2), layout: text("NHWC") },
    float([0, 1, 2, 3, 4, 5, 6, 7], [1, 1, 1, 8]),
  ),
  resize(
    "nearest, twice",
    [image, undefined, float([1, 1, 2, 2])],
    { mode: text("nearest") },
    float([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4], [1, 1, 4, 4]),
  ),
  resize(
    "nearest, half",
    [row(1, 2, 3, 4), none, float([1, 1, 1, 0.5])],
    { coordinate_transformation_mode: text("asymmetric"), nearest_mode: text("floor") },
    row(1, 3),
  ),
  ...(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] as const).map((mode, i) =>
    // Coordinates 0, 0.5, 1, 1.5.
    resize(
      mode,
      [row(1, 2), none, float([1, 1, 1, 2])],
      { coordinate_transformation_mode: text("asymmetric"), nearest_mode: text(mode) },
      row(
        ...([
          [1, 1, 2, 2],
          [1, 2, 2, 2],
          [1, 1, 2, 2],
          [1, 2, 2, 2],
        ][i] as number[]),
      ),
    ),
  ),
  resize(
    "linear, half pixel",
    [row(1, 3), none, none, ints(1, 1, 1, 4)],
    { mode: text("linear") },
    row(1, 1.5, 2.5, 3),
  ),
  resize(
    "linear, corners aligned",
    [row(1, 4), none, none, ints(1, 1, 1, 4)],
    { mode: text("linear"), coordinate_transformation_mode: text("align_corners") },
    row(1, 2, 3, 4),
  ),
  resize(
    "linear, asymmetric",
    [row(1, 3), none, none, ints(1, 1, 1, 4)],
    { mode: text("linear"), coordinate_transformation_mode: text("asymmetric") },
    row(1, 2, 3, 3),
  ),
  resize(
    "linear over two axes",
    [image, none, none, ints(1, 1, 3, 3)],
    { mode: text("linear"), coordinate_transformation_mode: text("align_corners") },
    float([1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4], [1, 1, 3, 3]),
  ),
  resize(
    "one row, pytorch",
    [row(1, 2, 3, 4), none, none, ints(1, 1, 1, 1)],
    { mode: text("linear"), coordinate_transformation_mode: text("pytorch_half_pixel") },
    row(1),
  ),
  // Cubic weights at a half with a = -0.75: -0.09375, 0.59375, 0.59375, -0.09375.
  resize(
    "cubic, corners aligned",
    [row(1, 2, 4, 8), none, none, ints(1, 1, 1, 7)],
    { mode: text("cubic"), coordinate_transformation_mode: text("align_corners") },
    row(1, 1.3125, 2, 2.71875, 4, 6.1875, 8),
  ),
  resize(
    "cut out",
    [row(1, 2, 3, 4), float([0, 0, 0, 0.5, 1, 1, 1, 1.5]), none, ints(1, 1, 1, 3)],
    {
      mode: text("linear"),
      coordinate_transformation_mode: text("tf_crop_and_resize"),
      extrapolation_value: floatAttribute(-1),
    },
    row(2.5, 4, -1),
  ),
  resize(
    "named axes, not larger",
    [row(1, 2), none, none, ints(4, 4)],
    { axes: list([2, 3]), keep_aspect_ratio_policy: text("not_larger") },
    float([1, 1, 2, 2, 1, 1, 2, 2], [1, 1, 2, 4]),
  ),
  known("version 10, shorter", "Resize", 10, [row(1, 2, 3, 4), float([1, 1, 1, 0.6])], {}, row(1, 3)),
  known("linear", "Upsample", 9, [row(1, 3), float([1, 1, 1, 2])], { mode: text("linear") }, row(1, 2, 3, 3)),
  known(
    "scales as attribute",
    "Upsample",
    7,
    [image],
    { scales: { kind: "floats", value: [1, 1, 1, 2] } },
    float([1, 1, 2, 2, 3, 3, 4, 4], [1, 1, 2, 4]),
  ),
  ...dtypes.map((dtype): OperatorCase => {
    const value = { kind: "tensor", value: tensor(dtype, [1]) } as const;
    return {
      name: dtype,
      op: "ConstantOfShape",
      version: 9,
      inputs: [ints(2, 2)],
      attributes: { value },
      expected: [tensor(dtype, [1, 1, 1, 1], [2, 2])],
    };
  }),
  ...(["float32", "float64", "int32", "int64"] as const).map((dtype) =>
    known(
      `${dtype}, downwards`,
      "Range",
      11,
      [scalar(dtype, 5), scalar(dtype, -2), scalar(dtype, -3)],
      {},
      tensor(dtype, [5, 2, -1]),
    ),
  ),
  known(
    "above the diagonal",
    "EyeLike",
    9,
    [float([0, 0, 0, 0, 0, 0], [2, 3])],
    { k: one(1), dtype: one(7) },
    tensor("int64", [0, 1, 0, 0, 0, 1], [2, 3]),
  ),
  ...everyType("Trilu", 14, [3, 3], [], { upper: one(0) }, [3, 3], [0, 0, 0, 3, 4, 0, 6, 7, 8]),
  known(
    "shifted",
    "Trilu",
    14,
    [counting("float32", [2, 3]), scalar("int64", 1)],
    {},
    float([0, 1, 2, 0, 0, 5], [2, 3]),
  ),
  known(
    "first axis, an index outside",
    "OneHot",
    11,
    [ints(1, -1, 7), scalar("int64", 2), float([5, 9])],
    { axis: one(0) },
    float([5, 5, 5, 9, 9, 5], [2, 3]),
  ),
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) =>
      known(
        `exclusive ${exclusive} reverse ${reverse}`,
        "CumSum",
        14,
        [float([1, 2, 3, 4], [2, 2]), scalar("int32", -1)],
        { exclusive: one(exclusive), reverse: one(reverse) },
        float(
          [
            [1, 3, 3, 7],
            [3, 2, 7, 4],
            [0, 1, 0, 3],
            [2, 0, 4, 0],
          ][exclusive * 2 + reverse] as number[],
          [2, 2],
        ),
      ),
    ),
  ),
  known(
    "first axis",
    "CumProd",
    26,
    [tensor("int32", [1, 2, 3, 4], [2, 2]), scalar("int64", 0)],
    {},
    tensor("int32", [1, 2, 3, 8], [2, 2]),
  ),
  ...everyType("ReverseSequence", 10, [3, 2], [ints(2, 3)], {}, [3, 2], [2, 5, 0, 3, 4, 1]),
  known(
    "a bool mask",
    "NonZero",
    13,
    [tensor("bool", [1, 0, 1, 1], [2, 2])],
    {},
    tensor("int64", [0, 1, 1, 0, 0, 1], [2, 3]),
  ),
  known(
    "along an axis",
    "Compress",
    11,
    [counting("float32", [3, 2]), tensor("bool", [0, 1, 1])],
    { axis: one(0) },
    float([2, 3, 4, 5], [2, 2]),
  ),
  known("flattened", "Compress", 11, [counting("float32", [3, 2]), tensor("bool", [0, 1, 0, 1])], {}, float([1, 3])),
  known(
    "in order of appearance",
    "Unique",
    11,
    [float([2, 1, 1, 3, 2])],
    { sorted: one(0) },
    float([2, 1, 3]),
    ints(0, 1, 3),
    ints(0, 1, 1, 2, 0),
    ints(2, 2, 1),
  ),
  known("ties", "TopK", 11, [float([1, 3, 3, 2]), ints(2)], {}, float([3, 3]), ints(1, 2)),
  known(
    "smallest",
    "TopK",
    11,
    [float([1, 3, 0, 2], [2, 2]), ints(1)],
    { axis: one(0), largest: one(0) },
    float([0, 2], [1, 2]),
    tensor("int64", [1, 1], [1, 2]),
  ),
  known(
    "cut and padded",
    "CenterCropPad",
    18,
    [counting("float32", [1, 5]), ints(2, 2)],
    {},
    float([1, 2, 0, 0], [2, 2]),
  ),
  known(
    "overlapping columns",
    "Col2Im",
    18,
    [float([1, 2, 3, 4], [1, 2, 2]), ints(1, 3), ints(1, 2)],
    {},
    float([1, 5, 4], [1, 1, 1, 3]),
  ),
  known("a point between four", "GridSample", 16, [image, float([0, 0], [1, 1, 1, 2])], {}, float([2.5], [1, 1, 1, 1])),
  known(
    "identity",
    "AffineGrid",
    20,
    [float([1, 0, 0, 0, 1, 0], [1, 2, 3]), ints(1, 1, 1, 2)],
    {},
    float([-0.5, 0, 0.5, 0], [1, 1, 2, 2]),
  ),
  known(
    "whole image",
    "MaxRoiPool",
    1,
    [image, float([0, 0, 0, 1, 1], [1, 5])],
    { pooled_shape: list([1, 2]) },
    float([3, 4], [1, 1, 1, 2]),
  ),
  known(
    "suppressed and kept",
    "NonMaxSuppression",
    11,
    [
      float([0, 0, 2, 2, 0, 0, 2, 1.9, 5, 5, 6, 6], [1, 3, 4]),
      float([0.5, 0.9, 0.3], [1, 1, 3]),
      ints(9),
      float([0.5]),
      float([0.1]),
    ],
    {},
    tensor("int64", [0, 0, 1, 0, 0, 2], [2, 3]),
  ),
];
